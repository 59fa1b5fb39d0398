/** A square f32 product as a Program, and its speed. Imported by the benches; runs nothing. */
import { Graph, Program } from "../src/graph/index.ts";
import { Region } from "../src/native/index.ts";

/** Operations of a product; a multiply and an add count as two. */
export function productFlops(size: number): number {
  return 2 * size ** 3;
}

/** Products in a sample: enough that handing a run over counts little. */
export function productRepeats(size: number): number {
  return Math.max(1, Math.min(1000, Math.round(2e10 / productFlops(size))));
}

export interface ProductOptions {
  threads: number;
  /** Lets go of the memory when the bench ends. */
  stack: DisposableStack;
}

/** Measures operations a second whenever it is called. */
export function productRate(size: number, { threads, stack }: ProductOptions) {
  const graph = new Graph();
  const region = stack.use(Region.create(2 * 4 * size * size));
  const elements = new Float32Array(region.bytes().buffer);
  for (let at = 0; at < elements.length; at += 1) elements[at] = ((at * 7919) % 1000) / 500 - 1;
  const factor = (offset: number) =>
    graph.constant({ region, offset, dtype: "f32", layout: "strided", shape: [size, size] });
  const into = [graph.output("c", "f32", [size, size])];
  graph.one("matmul", [factor(0), factor(4 * size * size)], { into });
  const program = stack.use(new Program(graph));
  const c = stack.use(Region.create(4 * size * size));
  const steps = productRepeats(size);
  return async (): Promise<number> => {
    await program.submit({ regions: { c }, steps: 1, threads });
    const start = performance.now();
    await program.submit({ regions: { c }, steps, threads });
    return (1000 * steps * productFlops(size)) / (performance.now() - start);
  };
}
