/** All tensors of a safetensors fixture as bytes, each in a buffer of its own. */
export async function readFixtureTensors(
  path: string,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const bytes = await Bun.file(path).bytes();
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, start)),
  );
  const tensors = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [name, info] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = info.data_offsets;
    tensors.set(name, bytes.slice(start + begin, start + end));
  }
  return tensors;
}
