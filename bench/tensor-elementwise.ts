/**
 * How near do elementwise operations on tensors come to the memory's own rate?
 *
 *   bun bench/tensor-elementwise.ts [--sizes 100000,1000000] [--only add,exp] [--json] [--smoke]
 *
 * Results are computed one by one and given back, in turns with a run that reads and writes as many
 * bytes, plain loops and NumPy. 10^8 elements want 3 GB; results of --smoke are of 4,000.
 */
import { runSpeedBench, type SpeedCase } from "./tensor-speed.ts";

const cases: SpeedCase[] = [
  {
    name: "add",
    reads: 2,
    writes: 1,
    ours: ({ x, y }) => x.add(y),
    plain(out, { x, y }) {
      for (let i = 0; i < out.length; i += 1) out[i] = x[i]! + y[i]!;
    },
  },
  {
    name: "add_number",
    reads: 1,
    writes: 1,
    ours: ({ x }) => x.add(1.5),
    plain(out, { x }) {
      for (let i = 0; i < out.length; i += 1) out[i] = x[i]! + 1.5;
    },
  },
  {
    name: "mul_add",
    reads: 3,
    writes: 1,
    ours: ({ x, y, z }) => x.mul(y).add(z),
    plain(out, { x, y, z }) {
      for (let i = 0; i < out.length; i += 1) out[i] = x[i]! * y[i]! + z[i]!;
    },
  },
  {
    name: "exp",
    reads: 1,
    writes: 1,
    ours: ({ x }) => x.exp(),
    plain(out, { x }) {
      for (let i = 0; i < out.length; i += 1) out[i] = Math.exp(x[i]!);
    },
  },
  {
    name: "softmax",
    reads: 1,
    writes: 1,
    hasRows: true,
    ours: ({ x }) => x.softmax(),
  },
  {
    name: "cumsum",
    reads: 1,
    writes: 1,
    ours: ({ x }) => x.cumsum(0),
    plain(out, { x }) {
      let sum = 0;
      for (let i = 0; i < out.length; i += 1) out[i] = sum += x[i]!;
    },
  },
];

await runSpeedBench(cases);
