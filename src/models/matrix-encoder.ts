/**
 * Matrices on their way into a file, natively: ternary codes to a packing of checkpoints, floats
 * to halves. One matrix, or one piece of a table, is in memory at a time; what a method gives
 * holds until the next call.
 */
import type { TensorEntry } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import { elementSizes, packedSize, type Weight } from "../graph/index.ts";
import type { LayoutName, Region } from "../native/index.ts";
import { plainFloats } from "./store.ts";
import { Workbench } from "./workbench.ts";

/** Values of a table that are converted at a time. */
const pieceValues = 1 << 22;

export class MatrixEncoder implements Disposable {
  readonly #bench = new Workbench();
  readonly #signal: AbortSignal | undefined;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Room for the codes of a (rows, cols) matrix, an i8 each. */
  codes(rows: number, cols: number): Weight {
    const region = this.#buffer("codes", rows * cols);
    return { region, offset: 0, dtype: "i8", layout: "strided", shape: [rows, cols] };
  }

  /** Codes that lie in `codes` as the bytes of a checkpoint's packing. */
  async pack(codes: Weight, scale: number, layout: LayoutName): Promise<Uint8Array> {
    const [rows, cols] = codes.shape as [number, number];
    const size = packedSize(layout, rows, cols);
    const packed = this.#buffer("packed", size);
    const program = this.#bench.program(`${layout} ${rows} ${cols}`, (graph) => {
      const source = graph.state("codes", rows * cols);
      const operands = [
        graph.stateValue(source, { dtype: "i8", dims: [rows, cols] }),
        graph.input("scale", "f32", [1]),
      ];
      const into = graph.packedState(graph.state("packed", size), layout, [rows, cols]);
      graph.apply("pack_ternary", operands, { into: [into] });
    });
    await program.submit({
      regions: { codes, packed },
      inputs: { scale: Float32Array.of(scale) },
      signal: this.#signal,
    });
    return packed.bytes(0, size);
  }

  /** Codes times their scale as halves. */
  *halvesOfCodes({ region, shape }: Weight, scale: number): Generator<Uint8Array> {
    const count = shape[0]! * shape[1]!;
    const codes = new Int8Array(region.bytes(0, count).buffer, 0, count);
    const halves = Float16Array.of(-scale, 0, scale);
    const bits = new Uint16Array(halves.buffer);
    for (let start = 0; start < count; start += pieceValues) {
      const piece = new Uint16Array(Math.min(pieceValues, count - start));
      for (let index = 0; index < piece.length; index += 1) {
        piece[index] = bits[codes[start + index]! + 1]!;
      }
      yield new Uint8Array(piece.buffer);
    }
  }

  /**
   * A float tensor as halves, piece by piece.
   * @throws BitNetError models/not-finite for values that a half cannot hold
   */
  async *halves(entry: TensorEntry): AsyncGenerator<Uint8Array> {
    const dtype = plainFloats[entry.dtype]!;
    const count = entry.shape.reduce((product, extent) => product * extent, 1);
    const size = elementSizes[dtype];
    for (let start = 0; start < count; start += pieceValues) {
      const values = Math.min(pieceValues, count - start);
      const staging = this.#buffer("staging", values * size);
      const offset = entry.offset + start * size;
      staging.readFile({ path: entry.file, offset, size: values * size });
      const halves = this.#buffer("halves", 2 * values);
      const program = this.#bench.program(`halves ${dtype} ${values}`, (graph) => {
        const source = graph.state("staging", values * size);
        const x = graph.stateValue(source, { dtype, dims: [values] });
        graph.apply("copy", [x], { into: [graph.output("halves", "f16", [values])] });
      });
      await program.submit({ regions: { staging, halves }, signal: this.#signal });
      const bytes = halves.bytes(0, 2 * values);
      requireFiniteHalves(entry, new Uint16Array(bytes.buffer, 0, values));
      yield bytes;
    }
  }

  [Symbol.dispose](): void {
    this.#bench[Symbol.dispose]();
  }

  #buffer(name: string, size: number): Region {
    this.#signal?.throwIfAborted();
    return this.#bench.buffer(name, size);
  }
}

/** Infinities and NaN have all bits of the exponent. */
function requireFiniteHalves({ file, name }: TensorEntry, bits: Uint16Array): void {
  const exponent = 0x7c00;
  for (let index = 0; index < bits.length; index += 1) {
    if ((bits[index]! & exponent) !== exponent) continue;
    throw new BitNetError(
      "models/not-finite",
      `${file}: ${name}: want values that F16 can hold, up to 65504, got one beyond`,
    );
  }
}
