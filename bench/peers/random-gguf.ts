/**
 * GGUF files of random weights in a known geometry, which both engines read: ternary matrices in
 * TQ2_0 or TQ1_0, embedding and head one table in Q6_K as llama.cpp's own quantizer leaves it, a
 * vocabulary that stands for no words. The same bytes for the same geometry and type.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type GgufField, type TensorSource, writeGguf } from "../../src/checkpoint/index.ts";
import {
  type DecoderConfig,
  ggufConfigFields,
  ggufNames,
  inLayer,
  matrixRoles,
  matrixShape,
  normRoles,
  normWidth,
} from "../../src/models/index.ts";
import { encodeTq1_0, encodeTq2_0 } from "../../src/quant/index.ts";
import { randomWords } from "../random-bytes.ts";

export type TernaryType = "TQ2_0" | "TQ1_0";

/** Blocks that are drawn once; a tensor is made of runs of them. */
const patternBlocks = 2048;
const runBlocks = 256;
const blockValues = 256;
const q6BlockBytes = 210;

/** The file in `folder`, written where it is not there yet. */
export async function randomGguf(
  folder: string,
  { name, config, type }: { name: string; config: DecoderConfig; type: TernaryType },
): Promise<string> {
  const path = join(folder, `random-${name}-${type}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const plan = { config, names: ggufNames, scheme: { kind: "found" } } as const;
  const metadata = new Map<string, GgufField>([
    ...ggufConfigFields(plan, "bitnet"),
    ...vocabulary(config.vocabularySize),
  ]);
  await writeGguf(path, { metadata, tensors: tensorsOf(config, type) });
  return path;
}

function tensorsOf(config: DecoderConfig, type: TernaryType): TensorSource[] {
  const { vocabularySize, hiddenSize } = config;
  const table = new Pattern(q6Blocks(), q6BlockBytes);
  const encode = type === "TQ2_0" ? encodeTq2_0 : encodeTq1_0;
  const sources: TensorSource[] = [
    table.source(ggufNames.embedding, "Q6_K", [vocabularySize, hiddenSize]),
  ];
  // Keeps the size of what goes through: two in three weights are not zero.
  const patterns = new Map<number, Pattern>();
  const patternFor = (cols: number): Pattern => {
    const known = patterns.get(cols);
    if (known) return known;
    const bytes = encode(randomCodes(), Math.sqrt(1.5 / cols));
    const pattern = new Pattern(bytes, bytes.length / patternBlocks);
    patterns.set(cols, pattern);
    return pattern;
  };
  for (let layer = 0; layer < config.layerCount; layer += 1) {
    for (const role of normRoles) {
      sources.push(ones(inLayer(ggufNames[role]!, layer), normWidth(config, role)));
    }
    for (const role of matrixRoles) {
      const shape = matrixShape(config, role);
      const name = `${inLayer(ggufNames[role], layer)}.weight`;
      sources.push(patternFor(shape[1]).source(name, type, shape));
    }
  }
  sources.push(ones(ggufNames.finalNorm, hiddenSize));
  return sources;
}

/** Blocks drawn once, from which tensors take runs that begin at random. */
class Pattern {
  readonly #random = randomWords(7);

  constructor(
    readonly bytes: Uint8Array,
    readonly blockBytes: number,
  ) {}

  source(name: string, dtype: TensorSource["dtype"], shape: readonly number[]): TensorSource {
    const blocks = shape.reduce((product, extent) => product * extent, 1) / blockValues;
    const { bytes, blockBytes } = this;
    const random = this.#random;
    return {
      name,
      dtype,
      shape,
      *pieces() {
        for (let done = 0; done < blocks; done += runBlocks) {
          const start = random() % (patternBlocks - runBlocks);
          const count = Math.min(runBlocks, blocks - done);
          yield bytes.subarray(start * blockBytes, (start + count) * blockBytes);
        }
      },
    };
  }
}

function randomCodes(): Int8Array {
  const random = randomWords(1);
  return Int8Array.from({ length: patternBlocks * blockValues }, () => (random() % 3) - 1);
}

/** Random codes under scales that make values of about one. */
function q6Blocks(): Uint8Array {
  const random = randomWords(2);
  const bytes = Uint8Array.from({ length: patternBlocks * q6BlockBytes }, () => random());
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += q6BlockBytes) {
    view.setFloat16(at + q6BlockBytes - 2, 1 / 1024, true);
  }
  return bytes;
}

function ones(name: string, width: number): TensorSource {
  const values = new Float32Array(width).fill(1);
  return { name, dtype: "F32", shape: [width], pieces: () => [new Uint8Array(values.buffer)] };
}

/** The bytes of byte-level BPE, then names for the rest; no merges. */
function vocabulary(size: number): [string, GgufField][] {
  const letter = (byte: number): string =>
    String.fromCodePoint(byte > 32 && byte < 127 ? byte : 0x100 + byte);
  const tokens = Array.from({ length: size }, (_, id) => (id < 256 ? letter(id) : `<t${id}>`));
  const types = new Int32Array(size).fill(1);
  return [
    ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
    ["tokenizer.ggml.pre", { type: "string", value: "gpt-2" }],
    ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "numbers", value: types }],
    ["tokenizer.ggml.merges", { type: "strings", value: [] }],
    ["tokenizer.ggml.bos_token_id", { type: "u32", value: 0 }],
    ["tokenizer.ggml.eos_token_id", { type: "u32", value: 0 }],
    ["tokenizer.ggml.add_bos_token", { type: "bool", value: false }],
  ];
}
