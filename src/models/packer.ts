/**
 * Turns checkpoint matrices into packed ternary weights, natively, one matrix at a time: a run
 * reads the bytes into a staging buffer (checked reads), decodes or quantizes them, and packs them
 * into their place in the store. Working memory is that of the largest matrix.
 */
import {
  type PackingName,
  packingNames,
  type StoredDType,
  type TensorEntry,
} from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import {
  elementSizes,
  type Graph,
  isTernaryLayout,
  type Program,
  type ProgramRun,
  packedSize,
  type Value,
  type Weight,
} from "../graph/index.ts";
import type { FileRange, LayoutName } from "../native/index.ts";
import type { Int8Head } from "./head.ts";
import { ReadAhead } from "./read-ahead.ts";
import { plainFloats } from "./store.ts";
import { Workbench } from "./workbench.ts";

/** Bytes of the head that are quantized at a time: they stay in the last of today's caches. */
const headPieceBytes = 8 << 20;
/** Rows of a piece are a multiple of it: what is made of them begins at aligned places. */
const headRowStep = 16;

const blockLayouts: Partial<Record<StoredDType, LayoutName>> = {
  Q8_0: "q8_0",
  Q4_0: "q4_0",
  Q4_K: "q4_k",
  Q6_K: "q6_k",
};

/** Sum, largest and smallest nonzero magnitude of a matrix. */
export interface MagnitudeStats {
  sum: number;
  max: number;
  minNonzero: number;
}

export class Packer implements Disposable {
  /** Buffers that hold from run to run. */
  readonly #own = new Workbench();
  /** What a run needs for itself, and Programs; of all packers that share it. */
  readonly #bench: Workbench;
  readonly #ahead: ReadAhead;
  readonly #signal: AbortSignal | undefined;

  /** `shared` is the business of who gives it. */
  constructor(signal?: AbortSignal, shared?: { ahead: ReadAhead; bench: Workbench }) {
    this.#signal = signal;
    this.#bench = shared?.bench ?? this.#own;
    this.#ahead = shared?.ahead ?? new ReadAhead();
  }

  /**
   * Decodes stored ternary codes into `to`; returns the scales the format carries, which hold until
   * the next call.
   */
  async unpack(entry: TensorEntry, layout: LayoutName, to: Weight): Promise<Float32Array> {
    const [rows, cols] = to.shape as [number, number];
    const blocks = layout.startsWith("tq") ? (rows * cols) / 256 : 1;
    const scales = this.#own.buffer("scales", blocks * 4);
    const program = this.#bench.program(
      `unpack ${layout} ${to.layout} ${rows} ${cols}`,
      (graph) => {
        const source = graph.state("staging", packedSize(layout, rows, cols));
        const w = graph.packedState(source, layout, [rows, cols]);
        const scaleOut = graph.output("scales", "f32", [blocks]);
        graph.apply("unpack_ternary", [w], { into: [target(graph, to), scaleOut] });
      },
    );
    await this.#run(program, entry, { scales, packed: to });
    return new Float32Array(scales.bytes(0, blocks * 4).buffer, 0, blocks);
  }

  /**
   * Decodes a matrix in a storage packing into `to`.
   * @throws BitNetError quant/broken-packing
   */
  async unpackStored(entry: TensorEntry, packing: PackingName, to: Weight): Promise<void> {
    const [rows, cols] = to.shape as [number, number];
    const key = `stored ${packing} ${entry.bytes} ${to.layout} ${rows} ${cols}`;
    const program = this.#bench.program(key, (graph) => {
      const source = graph.state("staging", Math.max(1, entry.bytes));
      const bytes = graph.stateValue(source, { dtype: "u8", dims: [entry.bytes] });
      const packed = target(graph, to);
      const codes = graph.one("unpack_packed", [bytes], {
        attrs: { packing: packingNames.indexOf(packing), rows, columns: cols },
        into: [to.layout === "strided" ? packed : undefined],
      });
      if (isTernaryLayout(to.layout)) graph.apply(`pack_${to.layout}`, [codes], { into: [packed] });
    });
    try {
      await this.#run(program, entry, { packed: to });
    } catch (cause) {
      if (!(cause instanceof BitNetError) || cause.code !== "native/run-failed") throw cause;
      throw new BitNetError(
        "quant/broken-packing",
        `${entry.file}: ${entry.name}: want ${packing} bytes of a (${rows}, ${cols}) matrix, got ` +
          "others; the file is damaged: fetch it again",
        { cause },
      );
    }
  }

  /** Magnitudes of a float matrix; the bytes stay staged for `ternarize`. */
  async stats(entry: TensorEntry): Promise<MagnitudeStats> {
    const dtype = plainFloats[entry.dtype]!;
    const [rows, cols] = entry.shape as [number, number];
    const stats = this.#own.buffer("stats", rows * 24);
    const program = this.#bench.program(`stats ${dtype} ${rows} ${cols}`, (graph) => {
      const source = graph.state("staging", rows * cols * elementSizes[dtype]);
      const w = graph.stateValue(source, { dtype, dims: [rows, cols] });
      graph.apply("abs_stats", [w], { into: [graph.output("stats", "f64", [rows, 3])] });
    });
    await this.#run(program, entry, { staging: this.#own.buffer("floats", entry.bytes), stats });
    const values = new Float64Array(stats.bytes(0, rows * 24).slice().buffer);
    const result: MagnitudeStats = { sum: 0, max: 0, minNonzero: Number.POSITIVE_INFINITY };
    for (let row = 0; row < rows; row += 1) {
      result.sum += values[row * 3]!;
      result.max = Math.max(result.max, values[row * 3 + 1]!);
      result.minNonzero = Math.min(result.minNonzero, values[row * 3 + 2]!);
    }
    return result;
  }

  /** Quantizes the matrix that `stats` staged with one scale, into `to`. */
  async ternarize(entry: TensorEntry, scale: number, to: Weight): Promise<void> {
    const dtype = plainFloats[entry.dtype]!;
    const [rows, cols] = entry.shape as [number, number];
    const program = this.#bench.program(
      `ternarize ${dtype} ${to.layout} ${rows} ${cols}`,
      (graph) => {
        const source = graph.state("staging", rows * cols * elementSizes[dtype]);
        const w = graph.stateValue(source, { dtype, dims: [rows, cols] });
        const operands = [w, graph.input("scale", "f32", [1])];
        graph.apply("ternarize", operands, { into: [target(graph, to)] });
      },
    );
    await program.submit({
      regions: { staging: this.#own.buffer("floats", entry.bytes), packed: to },
      inputs: { scale: Float32Array.of(scale) },
      signal: this.#signal,
    });
  }

  /**
   * Quantizes rows of a float or block-format matrix to int8, in planes, with their numbers. All of
   * it waits in the core when this returns, which needs nothing of JavaScript then. Runs take turns
   * and have one step each, so they share the staging buffer.
   */
  async int8Head(entry: TensorEntry, head: Int8Head): Promise<void> {
    const [rows, cols] = entry.shape as [number, number];
    const rowSize = entry.bytes / rows;
    const dtype = plainFloats[entry.dtype] ?? "f32";
    const layout = blockLayouts[entry.dtype] ?? "strided";
    const runs: Promise<number>[] = [];
    const fitting = Math.floor(headPieceBytes / rowSize / headRowStep);
    const pieceRows = headRowStep * Math.max(1, fitting);
    for (let start = 0; start < rows; start += pieceRows) {
      const count = Math.min(pieceRows, rows - start);
      const part = { ...entry, offset: entry.offset + start * rowSize, bytes: count * rowSize };
      const program = this.#bench.program(`int8 ${dtype} ${layout} ${count} ${cols}`, (graph) => {
        const source = graph.state("staging", count * rowSize);
        const w =
          layout === "strided"
            ? graph.stateValue(source, { dtype, dims: [count, cols] })
            : graph.packedState(source, layout, [count, cols]);
        recordInt8Planes(graph, w, [count, cols]);
      });
      const at = (weight: Weight, size: number) => ({
        region: weight.region,
        offset: weight.offset + size,
      });
      const planeSize = packedSize("nibble4", start, cols);
      const { high, low, scales, centre, spread } = head;
      const regions = {
        high: at(high, planeSize),
        low: at(low, planeSize),
        scales: at(scales, start * 4),
        centre: at(centre, start * 4),
        spread: at(spread, start * 4),
      };
      runs.push(this.#run(program, part, regions));
    }
    // None may be under way when this ends.
    await Promise.allSettled(runs);
    await Promise.all(runs);
  }

  [Symbol.dispose](): void {
    this.#own[Symbol.dispose]();
  }

  /** Reads the tensor into `staging`, the shared buffer if none is given; then runs the program. */
  async #run(
    program: Program,
    entry: TensorEntry,
    regions: NonNullable<ProgramRun["regions"]>,
  ): Promise<number> {
    this.#signal?.throwIfAborted();
    const from: FileRange = { path: entry.file, offset: entry.offset, size: entry.bytes };
    const staging = regions.staging ?? this.#bench.buffer("staging", entry.bytes);
    return program.submit({
      regions: { ...regions, staging },
      reading: { region: "staging", from, ahead: this.#ahead.behind(from) },
      signal: this.#signal,
    });
  }
}

/** The state "packed", where a matrix goes: codes as they are, an i8 each, or a packing. */
function target(graph: Graph, { layout, shape }: Weight): Value {
  const [rows, cols] = shape as [number, number];
  if (layout === "strided") {
    const codes = graph.state("packed", rows * cols);
    return graph.stateValue(codes, { dtype: "i8", dims: [rows, cols] });
  }
  if (!isTernaryLayout(layout)) throw new Error(`no ternary product reads ${layout}`);
  const packed = graph.state("packed", packedSize(layout, rows, cols));
  return graph.packedState(packed, layout, [rows, cols]);
}

/** Int8 codes of rows of `w`, packed, and each row's numbers, into states of these names. */
function recordInt8Planes(graph: Graph, w: Value, [rows, cols]: [number, number]): void {
  const size = packedSize("nibble4", rows, cols);
  const plane = (name: string): Value =>
    graph.packedState(graph.state(name, size), "nibble4", [rows, cols]);
  const vector = (name: string): Value =>
    graph.stateValue(graph.state(name, rows * 4), { dtype: "f32", dims: [rows] });
  const vectors = ["scales", "centre", "spread"].map(vector);
  graph.apply("quantize_nibbles", [w], { into: [plane("high"), plane("low"), ...vectors] });
}
