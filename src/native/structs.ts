/** Reads and writes the ABI's structs by their generated layouts; all are little-endian. */

export type Word = "u8" | "u16" | "u32" | "i32" | "i64" | "u64" | "f32" | "f64";

export interface StructLayout {
  readonly size: number;
  readonly fields: Readonly<Record<string, readonly [offset: number, word: string]>>;
}

export type StructValues<L extends StructLayout> = { [K in keyof L["fields"]]: number };

/** Writes one struct at `offset`; fields are numbers, checked to fit their word. */
export function encodeStruct<L extends StructLayout>(
  layout: L,
  values: StructValues<L>,
  to: { view: DataView; offset: number },
): void {
  for (const [name, [at, word]] of Object.entries(layout.fields)) {
    writeWord(to.view, to.offset + at, { word: word as Word, value: values[name]! });
  }
}

export function decodeStruct<L extends StructLayout>(
  layout: L,
  bytes: Uint8Array,
): StructValues<L> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: Record<string, number> = {};
  for (const [name, [at, word]] of Object.entries(layout.fields)) {
    values[name] = readWord(view, at, word as Word);
  }
  return values as StructValues<L>;
}

function writeWord(view: DataView, at: number, { word, value }: { word: Word; value: number }) {
  switch (word) {
    case "u8":
      return view.setUint8(at, inRange(value, 0, 0xff));
    case "u16":
      return view.setUint16(at, inRange(value, 0, 0xffff), true);
    case "u32":
      return view.setUint32(at, inRange(value, 0, 0xffff_ffff), true);
    case "i32":
      return view.setInt32(at, inRange(value, -0x8000_0000, 0x7fff_ffff), true);
    case "u64":
      return view.setBigUint64(at, BigInt(inRange(value, 0, Number.MAX_SAFE_INTEGER)), true);
    case "i64": {
      const limit = Number.MAX_SAFE_INTEGER;
      return view.setBigInt64(at, BigInt(inRange(value, -limit, limit)), true);
    }
    case "f32":
      return view.setFloat32(at, value, true);
    case "f64":
      return view.setFloat64(at, value, true);
  }
}

function readWord(view: DataView, at: number, word: Word): number {
  switch (word) {
    case "u8":
      return view.getUint8(at);
    case "u16":
      return view.getUint16(at, true);
    case "u32":
      return view.getUint32(at, true);
    case "i32":
      return view.getInt32(at, true);
    case "u64":
      return Number(view.getBigUint64(at, true));
    case "i64":
      return Number(view.getBigInt64(at, true));
    case "f32":
      return view.getFloat32(at, true);
    case "f64":
      return view.getFloat64(at, true);
  }
}

/** bun:ffi and DataView both wrap silently; a wrong size must never reach the core. */
function inRange(value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${value} is not a whole number from ${min} to ${max}`);
  }
  return value;
}
