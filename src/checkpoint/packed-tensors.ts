/**
 * Which tensors of a safetensors file are ternary matrices in a packing of this library: the key
 * `bitnet-bun.packings` of the metadata, a JSON object { version, packings: { name: packing } }.
 * Such a tensor is U8 of one dimension; its rows and columns are the configuration's to tell.
 */
import { isObject } from "./json-file.ts";
import { quoted, refuse } from "./refuse.ts";
import { type PackingName, packingNames, type TensorEntry } from "./types.ts";

const key = "bitnet-bun.packings";
/** Of the packings as docs/formats/packings.md has them. */
const version = 1;

/** The metadata of a file with these packed tensors. */
export function packingMetadata(packings: ReadonlyMap<string, PackingName>): [string, string] {
  return [key, JSON.stringify({ version, packings: Object.fromEntries(packings) })];
}

/**
 * Marks the packed ones among the tensors of a file.
 * @throws BitNetError checkpoint/bad-metadata, unsupported-version, missing-tensor, shape-mismatch
 */
export function markPacked(
  file: string,
  metadata: Readonly<Record<string, string>>,
  tensors: ReadonlyMap<string, TensorEntry>,
): void {
  const text = metadata[key];
  if (text === undefined) return;
  for (const [name, packing] of Object.entries(readPackings(file, text))) {
    const entry = tensors.get(name);
    if (entry === undefined) {
      refuse("checkpoint/missing-tensor", {
        file,
        expected: `the tensor ${quoted(name)} that ${key} names`,
        got: `${tensors.size} tensors without it`,
      });
    }
    if (entry.dtype !== "U8" || entry.shape.length !== 1) {
      refuse("checkpoint/shape-mismatch", {
        file,
        expected: `U8 of one dimension for ${quoted(name)}, which is packed`,
        got: `${entry.dtype} of shape [${entry.shape.join(", ")}]`,
      });
    }
    if (!packingNames.includes(packing as PackingName)) {
      refuse("checkpoint/bad-metadata", {
        file,
        expected: `one of ${packingNames.join(", ")} as the packing of ${quoted(name)}`,
        got: quoted(String(packing)),
      });
    }
    entry.packing = packing as PackingName;
  }
}

function readPackings(file: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const packings = isObject(value) ? value.packings : undefined;
  if (!isObject(value) || !isObject(packings)) {
    refuse("checkpoint/bad-metadata", {
      file,
      expected: `an object with version and packings in ${key}`,
      got: quoted(text),
    });
  }
  if (value.version !== version) {
    refuse("checkpoint/unsupported-version", {
      file,
      expected: `packings of version ${version}`,
      got: `version ${String(value.version)}`,
      remedy: "a newer version of bitnet-bun wrote this file",
    });
  }
  return packings;
}
