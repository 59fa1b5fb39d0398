/**
 * Conversions as plain loops and typed-array copies, the way a program without the core writes
 * them, and the arrays that loading a model converts. Imported by the bench; runs nothing.
 */
import type { BatchItem, PlainDType } from "../src/memory/index.ts";
import { geometries } from "./random-model.ts";

type Loop = (source: Uint8Array, target: Uint8Array, count: number) => void;

/** The loop of a pair; where it has none, typed arrays convert by themselves. */
export function plainLoop(from: PlainDType, to: PlainDType): Loop {
  return loops[`${from} ${to}`] ?? ((x, y, n) => viewOf(to, y, n).set(viewOf(from, x, n)));
}

const arrays = {
  f32: Float32Array,
  f16: Float16Array,
  bf16: Uint16Array,
  i32: Int32Array,
  i8: Int8Array,
  u8: Uint8Array,
  i4: Uint8Array,
} as const;

function viewOf<D extends PlainDType>(dtype: D, bytes: Uint8Array, count: number) {
  const length = dtype === "i4" ? count / 2 : count;
  const view = new arrays[dtype](bytes.buffer as ArrayBuffer, bytes.byteOffset, length);
  return view as InstanceType<(typeof arrays)[D]>;
}

const loops: Record<string, Loop> = {
  "f32 bf16": (source, target, count) => {
    // The same bytes as words: its rounding is integer work.
    const x = new Uint32Array(source.buffer as ArrayBuffer, source.byteOffset, count);
    const y = viewOf("bf16", target, count);
    for (let i = 0; i < count; i += 1) y[i] = (x[i]! + 0x7fff + ((x[i]! >>> 16) & 1)) >>> 16;
  },
  "bf16 f32": (source, target, count) => {
    const x = viewOf("bf16", source, count);
    const y = viewOf("i32", target, count);
    for (let i = 0; i < count; i += 1) y[i] = x[i]! << 16;
  },
  "f16 bf16": (source, target, count) => {
    const x = viewOf("f16", source, count);
    const y = viewOf("bf16", target, count);
    const float = new Float32Array(1);
    const word = new Uint32Array(float.buffer);
    for (let i = 0; i < count; i += 1) {
      float[0] = x[i]!;
      y[i] = (word[0]! + 0x7fff + ((word[0]! >>> 16) & 1)) >>> 16;
    }
  },
  "f32 i8": (source, target, count) => {
    const x = viewOf("f32", source, count);
    const y = viewOf("i8", target, count);
    for (let i = 0; i < count; i += 1) y[i] = Math.max(-128, Math.min(127, halfEven(x[i]!)));
  },
  "f32 i4": (source, target, count) => {
    const x = viewOf("f32", source, count);
    const y = viewOf("i4", target, count);
    const code = (value: number): number => Math.max(-8, Math.min(7, halfEven(value))) & 15;
    for (let i = 0; i < count; i += 2) y[i >> 1] = code(x[i]!) | (code(x[i + 1]!) << 4);
  },
  "i4 f32": (source, target, count) => {
    const x = viewOf("i4", source, count);
    const y = viewOf("f32", target, count);
    for (let i = 0; i < count; i += 2) {
      y[i] = (x[i >> 1]! << 28) >> 28;
      y[i + 1] = (x[i >> 1]! << 24) >> 28;
    }
  },
};

function halfEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

export interface LoadCase {
  name: string;
  /** Read and written. */
  bytes: number;
  items: BatchItem[];
  plain: () => void;
}

/** What loading a bitnet-b1.58-2B-4T converts; `divisor` leaves out layers and rows. */
export function loadCases(divisor: number): LoadCase[] {
  const { layerCount, hiddenSize, intermediateSize } = geometries["2b4t"];
  const widthsOfLayer = [hiddenSize, hiddenSize, hiddenSize, intermediateSize];
  const vectors = Array.from({ length: Math.ceil(layerCount / divisor) }, () => widthsOfLayer)
    .flat()
    .map((width) => new Uint16Array(width).fill(0x3f80));
  const matrix = new Float32Array(Math.ceil(intermediateSize / divisor) * hiddenSize).fill(0.5);
  const half = new Float16Array(matrix.length).fill(1);
  return [
    {
      name: "norms, bf16 to f32",
      bytes: vectors.reduce((sum, { length }) => sum + 6 * length, 0),
      items: vectors.map((source) => ({ source, from: "bf16", to: "f32" })),
      plain: () => vectors.forEach(readBf16),
    },
    {
      name: "a matrix of unequal blocks, f32 to f16",
      bytes: 6 * matrix.length,
      items: [{ source: matrix, from: "f32", to: "f16", into: half }],
      plain: () => half.set(matrix),
    },
  ];
}

function readBf16(words: Uint16Array): Float32Array {
  const view = new DataView(words.buffer);
  const bits = new Uint32Array(words.length);
  for (let i = 0; i < bits.length; i += 1) bits[i] = view.getUint16(2 * i, true) << 16;
  return new Float32Array(bits.buffer);
}
