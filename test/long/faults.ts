/** Faults that a slip of the hand could make, and the part of the suite that must notice each. */

export interface Fault {
  name: string;
  file: string;
  /** Stands in the file exactly once. */
  find: string;
  replace: string;
  /** Test files, below test/. */
  tests: string[];
  /** Processors whose code it is in; all when absent. */
  arch?: NodeJS.Architecture;
}

const logits = "models/reference-logits.test.ts";
const states = "models/hidden-states.test.ts";

export const faults: Fault[] = [
  {
    name: "activations are rounded down",
    file: "zig/kernels/quantize_rows.zig",
    find: "roundClip(x * lanes.splat(a), ",
    replace: "roundClip(@floor(x * lanes.splat(a)), ",
    tests: [logits],
  },
  {
    name: "halves are rounded away from zero",
    file: "zig/kernels/quantize_rows.zig",
    find: "roundClip(x * lanes.splat(a), ",
    replace: "roundClip(@round(x * lanes.splat(a)), ",
    tests: ["graph/row-kernels.test.ts"],
  },
  {
    name: "the norm's eps is left out",
    file: "zig/kernels/rms_norm.zig",
    find: "@sqrt(mean + eps)",
    replace: "@sqrt(mean + 0 * eps)",
    tests: [states],
  },
  {
    name: "a stored weight_scale divides where it should multiply",
    file: "src/models/ternary.ts",
    find: "plan.scheme.scaleMultiplies ? stored",
    replace: "!plan.scheme.scaleMultiplies ? stored",
    tests: [logits],
  },
  {
    name: "keys and values are written one position late",
    file: "zig/kernels/kv_write.zig",
    find: "@mod(position, page_positions)",
    replace: "@mod(position + 1, page_positions)",
    tests: [logits],
  },
  {
    name: "attention sees one position too many",
    file: "zig/kernels/attention_tile.zig",
    find: "query.position - first_position + 1)",
    replace: "query.position - first_position + 2)",
    tests: [logits],
  },
  {
    name: "heads read the keys of another group",
    file: "zig/kernels/attention.zig",
    find: ".group = group,\n        };",
    replace: ".group = plan.group_count - 1 - group,\n        };",
    tests: [logits],
  },
  {
    name: "the planner sets no barrier",
    file: "src/graph/plan.ts",
    find: "return { node, barrier, serial, work };",
    replace: "return { node, barrier: false, serial, work };",
    tests: [logits],
  },
  {
    name: "what an instruction makes lies on what it reads",
    file: "src/graph/plan.ts",
    find: "other.first <= life.last && life.first <= other.last",
    replace: "other.first < life.last && life.first < other.last",
    tests: [logits],
  },
  {
    name: "workers pass a barrier without waiting",
    file: "zig/program/execute.zig",
    find: "if (instr.flags & @intFromEnum(abi.InstrFlag.barrier_before) != 0) {",
    replace:
      "if (index % 2 == 0 and instr.flags & @intFromEnum(abi.InstrFlag.barrier_before) != 0) {",
    tests: ["engine/same-bits.test.ts", "models/long-context.test.ts"],
  },
  {
    name: "the norm behind attention is skipped",
    file: "src/models/decoder.ts",
    find: "layer.attentionSubNorm ? rmsNorm(graph, mixed, layer.attentionSubNorm) : mixed",
    replace: "mixed",
    tests: [logits],
  },
  {
    name: "pairs are rotated the other way",
    file: "zig/kernels/rope.zig",
    find: "a * c - b * s",
    replace: "a * c + b * s",
    tests: [states],
  },
  {
    name: "relu² is not squared",
    file: "zig/kernels/gated_activation.zig",
    find: "return positive * positive;",
    replace: "return positive;",
    tests: [states],
  },
  {
    name: "two columns of a packed tile change places",
    file: "zig/kernels/tile_strips.zig",
    find: "codes[1] << @splat(2) | codes[2] << @splat(4)",
    replace: "codes[2] << @splat(2) | codes[1] << @splat(4)",
    tests: [states],
  },
  {
    name: "the rarest bytes of tile3 forget their fifth code",
    file: "zig/kernels/tile3.zig",
    find: ".{ .four = 0xaa, .fifth = low & 3 }",
    replace: ".{ .four = 0xaa, .fifth = 0 }",
    tests: ["graph/matmul-kernels.test.ts"],
  },
  {
    name: "top-p drops one token too many",
    file: "zig/kernels/sampling_filters.zig",
    find: "removeBelow(w, cut);",
    replace: "removeBelow(w, @bitCast(low + 1));",
    tests: ["generate/sampling-kernels.test.ts"],
  },
  {
    name: "the repetition penalty does not see the prompt",
    file: "src/engine/session.ts",
    find: "historyLength: Int32Array.of(tokens.length)",
    replace: "historyLength: Int32Array.of(0)",
    tests: ["engine/repetition-penalty.test.ts"],
  },
  {
    name: "a reused prefix is one token too long",
    file: "src/engine/session.ts",
    find: "    return count;\n",
    replace: "    return Math.min(count + 1, this.#cached.length);\n",
    tests: ["engine/generate.test.ts"],
  },
  {
    name: "each native run begins its draws anew",
    file: "src/engine/session.ts",
    find: "random[random.length - 1] = draws;",
    replace: "random[random.length - 1] = 0 * draws;",
    tests: ["engine/generate.test.ts"],
  },
  {
    name: "a model keeps its mapped files when it is disposed",
    file: "src/models/store.ts",
    find: "for (const file of this.#files.values()) file[Symbol.dispose]();",
    replace: "",
    tests: ["engine/generate.test.ts"],
  },
  {
    name: "int16 sums are kept for too long",
    file: "zig/kernels/dot.zig",
    find: "return stepsInside(16, 2, code_max);",
    replace: "return stepsInside(18, 2, code_max);",
    tests: ["graph/matmul-kernels.test.ts"],
    arch: "x64",
  },
  {
    name: "screening leaves out rows that the error may lift",
    file: "zig/kernels/head_rule.zig",
    find: "pub const band = 6;",
    replace: "pub const band = 0;",
    tests: ["graph/head-kernels.test.ts"],
  },
  {
    name: "screening counts penalized rows among the largest",
    file: "zig/kernels/head_screen.zig",
    find: "sums.len) & ~screening.forced);",
    replace: "sums.len));",
    tests: ["graph/head-kernels.test.ts"],
  },
  {
    name: "penalized rows are left out",
    file: "zig/kernels/head_refine.zig",
    find: "survivors(task, &row, unit) | unit_bits.*;",
    replace: "survivors(task, &row, unit);",
    tests: ["graph/head-kernels.test.ts"],
  },
  {
    name: "a chain reads what changes before its end",
    file: "src/graph/passes/elementwise.ts",
    find: "if (writers.some((writer) => writer > index && writer < this.last)) return false;",
    replace: "",
    tests: ["graph/elementwise-chain.test.ts"],
  },
  {
    name: "a chain takes one operand for the other",
    file: "zig/kernels/elementwise_chain.zig",
    find: ".x = .{ places[part.x[0]], places[part.x[1]], places[part.x[2]] },",
    replace: ".x = .{ places[part.x[1]], places[part.x[0]], places[part.x[2]] },",
    tests: ["graph/elementwise-chain.test.ts"],
  },
  {
    name: "what is computed again reads what has changed meanwhile",
    file: "src/graph/passes/rematerialize.ts",
    find: "return writes.some((index) => index > after && index < before);",
    replace: "return writes.length > before + after;",
    tests: ["graph/rematerialize.test.ts"],
  },
  {
    name: "what read a joined product reads the first one",
    file: "src/graph/passes/neighbours.ts",
    find: "const at = Math.floor(element / width) * total + start + (element % width);",
    replace: "const at = Math.floor(element / width) * total + (element % width);",
    tests: ["graph/neighbours.test.ts"],
  },
  {
    name: "tiles are unpacked from a row that stands further down",
    file: "zig/kernels/unpack_tiles.zig",
    find: "row % tiles.block_rows * 4",
    replace: "(row + 1) % tiles.block_rows * 4",
    tests: ["tensor/bit-linear.test.ts"],
  },
  {
    name: "the gradient of a norm leaves out what the root does",
    file: "src/graph/gradients/layers.ts",
    find: "on.sub(scaled, on.mul(normal, along))",
    replace: "on.sub(scaled, on.mul(on.mul(normal, along), 0))",
    tests: ["tensor/layer-gradients.test.ts"],
  },
  {
    name: "a product with one zero has no gradient",
    file: "src/graph/gradients/movement.ts",
    find: "on.where(isAlone, over(rest), zero)",
    replace: "on.where(isAlone, zero, zero)",
    tests: ["tensor/gradient-edges.test.ts"],
  },
  {
    name: "a view across rows that lie apart counts as one without gaps",
    file: "src/tensor/same-place.ts",
    find: "high[axis]! < Number(extent)",
    replace: "high[axis]! < 1e9",
    tests: ["tensor/run-time-sizes.test.ts"],
  },
  {
    name: "a sweep of rotations follows too near behind another",
    file: "zig/linalg/rotations.zig",
    find: "while (i <= second.row)",
    replace: "while (i < second.row)",
    tests: ["linalg/factor.test.ts"],
  },
  {
    name: "a symmetric matrix takes half of a block's reflectors",
    file: "zig/linalg/tridiagonal.zig",
    find: "Matrix{ .{ v, w }, .{ w, v } }",
    replace: "Matrix{ .{ v, w }, .{ v, w } }",
    tests: ["linalg/factor.test.ts"],
  },
  {
    name: "what is not finite at the end of a row is let through",
    file: "zig/kernels/matrices.zig",
    find: "for (x[at..]) |value|",
    replace: "for (x[at..at]) |value|",
    tests: ["linalg/refusals.test.ts"],
  },
  {
    name: "the gradient of a system's matrix has the wrong sign",
    file: "src/graph/gradients/linalg.ts",
    find: "[() => on.neg(on.matmul(ofB, turned(y))), ofB]",
    replace: "[() => on.matmul(ofB, turned(y)), ofB]",
    tests: ["linalg/gradients.test.ts"],
  },
  {
    name: "elements of a tensor are read while its run is under way",
    file: "src/tensor/pending.ts",
    find: "if (this.#flight?.roots.has(storage)) this.#join();",
    replace: "",
    tests: ["tensor/ready.test.ts"],
  },
];
