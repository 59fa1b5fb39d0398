/** `bitnet inspect`: what a model is made of and what it would take, from its headers alone. */
import { packingNames } from "../checkpoint/index.ts";
import {
  type Inspection,
  inspectModel,
  inspectPackings,
  type MatrixPackings,
} from "../engine/index.ts";
import { defineCliCommand } from "./command.ts";
import { bundledModel } from "./environment.ts";
import { formatBytes, formatCount, table } from "./format.ts";
import { loadingArgs, openingOptions } from "./model-arguments.ts";
import { findModel, type OpenOptions } from "./open-model.ts";
import { printJson, printLine } from "./output.ts";
import { Progress } from "./progress.ts";

/** `bitnet inspect [model]`. */
export const inspectCommand = defineCliCommand({
  name: "inspect",
  description: "Shows what a model is made of and the memory it takes, without loading it.",
  args: {
    model: {
      type: "positional",
      required: false,
      description: `A bundled name, a folder, a .gguf file or owner/name [${bundledModel}]`,
    },
    tensors: { type: "boolean", description: "List every tensor: name, dtype, shape, bytes" },
    packings: { type: "boolean", description: "Measure every matrix: sparsity, runs, packings" },
    ...loadingArgs,
    json: { type: "boolean", description: "One JSON object with everything, tensors too" },
  },
  examples: [
    ["bitnet inspect ./my-model.gguf", "architecture, sizes, memory"],
    ["bitnet inspect fairy-tales --tensors", "its tensors as well"],
    ["bitnet inspect owner/name --json | jq .memory.total", "for scripts"],
  ],
  async run({ args, signal }) {
    const opening = openingOptions(args, signal);
    const progress = new Progress(opening);
    const path = await findModel(args.model ?? bundledModel, { ...opening, progress }).finally(() =>
      progress.clear(),
    );
    const inspection = await inspectModel(path, opening.load);
    const packings =
      args.packings === true ? await measure(path, { ...opening, signal }) : undefined;
    if (args.json === true) {
      await printJson({ ...inspection, ...(packings && { packings }) });
      return 0;
    }
    for (const line of table(factsOf(inspection))) await printLine(line.trim());
    if (args.tensors === true) await printTensors(inspection);
    if (packings) await printPackings(packings);
    return 0;
  },
});

function factsOf(model: Inspection): [string, string][] {
  const { weights, kvCache, working, total, available, fits } = model.memory;
  const parts = [
    `weights ${formatBytes(weights)}`,
    `context ${formatBytes(kvCache)}`,
    `working ${formatBytes(working)}`,
  ];
  return [
    ["name", model.name],
    ["path", model.path],
    ["format", `${model.format}, ${formatBytes(model.fileBytes)}`],
    ["architecture", `${model.architecture}, ${model.activation}`],
    ["parameters", formatCount(model.parameters)],
    ["layers", `${model.layers} of ${model.hiddenSize}, feed-forward ${model.intermediateSize}`],
    ["heads", `${model.heads} over ${model.keyValueHeads} keys and values`],
    ["vocabulary", String(model.vocabularySize)],
    ["context", `${model.contextLength} tokens`],
    ["memory", `${formatBytes(total)} (${parts.join(", ")})`],
    ["fits here", fits ? "yes" : `no, ${formatBytes(available)} are available`],
    ["tensors", String(model.tensors.length)],
  ];
}

async function printTensors({ tensors }: Inspection): Promise<void> {
  const rows = tensors.map(({ name, dtype, shape, bytes }) => [
    name,
    dtype,
    `(${shape.join(", ")})`,
    formatBytes(bytes),
  ]);
  await printLine();
  for (const line of table([["TENSOR", "DTYPE", "SHAPE", "SIZE"], ...rows])) {
    await printLine(line.trim());
  }
}

/** Reads all weights, so it takes as long as loading. */
async function measure(path: string, { load, quiet, signal }: OpenOptions) {
  const progress = new Progress({ quiet });
  const matrices: MatrixPackings[] = [];
  try {
    for await (const one of inspectPackings(path, { ...load, signal })) {
      matrices.push(one);
      progress.update({
        stage: `measuring ${one.name}`,
        done: matrices.length,
        total: 0,
        counts: true,
      });
    }
  } finally {
    progress.clear();
  }
  return matrices;
}

async function printPackings(matrices: readonly MatrixPackings[]): Promise<void> {
  const rows = matrices.map(({ name, shape, report }) => {
    const place = [name, `(${shape.join(", ")})`];
    if (!report) return [...place, "not ternary"];
    const { sparsity, runMean, runLongest, best, sizes } = report;
    const runs = `${runMean.toFixed(2)}, ${runLongest}`;
    const all = packingNames.map((packing) => formatBytes(sizes[packing]));
    return [...place, `${(100 * sparsity).toFixed(1)} %`, runs, best, ...all];
  });
  const header = ["MATRIX", "SHAPE", "ZEROS", "RUNS: MEAN, LONGEST", "BEST"];
  const names = packingNames.map((name) => name.toUpperCase());
  await printLine();
  for (const line of table([[...header, ...names], ...rows])) await printLine(line.trim());
}
