/**
 * How near do reductions of tensors come to the memory's own rate?
 *
 *   bun bench/tensor-reductions.ts [--sizes 100000,1000000] [--only sum,max] [--json] [--smoke]
 *
 * Over all elements, over rows of 1000 and over columns, in turns with a run that reads as many
 * bytes, plain loops and NumPy.
 */
import { runSpeedBench, type SpeedCase } from "./tensor-speed.ts";

const cases: SpeedCase[] = [
  {
    name: "sum",
    reads: 1,
    writes: 0,
    ours: ({ x }) => x.sum(),
    plain(_, { x }) {
      let sum = 0;
      for (let i = 0; i < x.length; i += 1) sum += x[i]!;
      return sum;
    },
  },
  {
    name: "max",
    reads: 1,
    writes: 0,
    ours: ({ x }) => x.max(),
    plain(_, { x }) {
      let most = Number.NEGATIVE_INFINITY;
      for (let i = 0; i < x.length; i += 1) if (x[i]! > most) most = x[i]!;
      return most;
    },
  },
  {
    name: "argmax",
    reads: 1,
    writes: 0,
    ours: ({ x }) => x.argmax(),
    plain(_, { x }) {
      let found = 0;
      for (let i = 1; i < x.length; i += 1) if (x[i]! > x[found]!) found = i;
      return found;
    },
  },
  {
    name: "mean_rows",
    reads: 1,
    writes: 0,
    hasRows: true,
    ours: ({ x }) => x.mean({ axes: 1 }),
  },
  {
    name: "mean_columns",
    reads: 1,
    writes: 0,
    hasRows: true,
    ours: ({ x }) => x.mean({ axes: 0 }),
  },
  {
    name: "argmax_rows",
    reads: 1,
    writes: 0,
    hasRows: true,
    ours: ({ x }) => x.argmax(1),
  },
  {
    name: "max_columns",
    reads: 1,
    writes: 0,
    hasRows: true,
    ours: ({ x }) => x.max({ axes: 0 }),
  },
];

await runSpeedBench(cases);
