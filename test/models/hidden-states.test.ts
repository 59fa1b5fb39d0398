/** Values inside the first layer and after each one: 1e-5 of the largest, or 5e-2 after a flip. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openCheckpoint } from "../../src/checkpoint/index.ts";
import { extentMax, Graph, Program, type Value } from "../../src/graph/index.ts";
import { loadDecoder } from "../../src/models/index.ts";
import { Region } from "../../src/native/index.ts";
import { cacheSize } from "../../src/nn/index.ts";
import { compare, fixturesDir, huggingFaceModels, readReference } from "./reference.ts";

/** Nothing was rounded on the way to these. */
const beforeRounding = new Set(["embeddings", "layer_0_input_layernorm"]);

for (const name of huggingFaceModels) {
  describe(name, () => {
    test("hidden states equal the reference", async () => {
      const reference = await readReference(name);
      const { input_ids } = reference.prompts[reference.hidden_prompt]!;
      // A sub-norm's output is there under its own name and as the projection's input.
      const wanted = [...reference.tensors.keys()]
        .filter((key) => key.startsWith("hidden.") && !key.endsWith("_sub_norm"))
        .map((key) => key.slice("hidden.".length));
      const states = await hiddenStates(join(fixturesDir, "models", name), input_ids);
      expect(wanted.length).toBeGreaterThanOrEqual(4);
      for (const key of wanted) {
        const got = states.get(key)!;
        const want = reference.tensors.get(`hidden.${key}`)!;
        const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const difference = compare(got, want, want.length / input_ids.length);
        const flipped = difference.largest > 1e-5 * largest;
        if (flipped) expect(difference.relativeL2).toBeLessThan(5e-2);
        if (beforeRounding.has(key)) expect({ key, flipped }).toEqual({ key, flipped: false });
      }
    });
  });
}

/** All tapped values of a forward pass over the ids. */
async function hiddenStates(path: string, ids: number[]): Promise<Map<string, Float32Array>> {
  using loaded = await loadDecoder(await openCheckpoint(path));
  const { config } = loaded.decoder;
  const cacheShape = {
    layerCount: config.layerCount,
    pageCount: 1,
    groupCount: config.groupCount,
    headWidth: config.headWidth,
    dtype: "f32",
  } as const;
  const graph = new Graph();
  const rows = ids.length;
  const taps = new Map<string, Value>();
  const tap = (name: string, value: Value): void => {
    const out = graph.output(name, "f32", value.dims);
    graph.apply("copy", [value], { into: [out] });
    taps.set(name, out);
  };
  const x = loaded.decoder.forward(graph, {
    ids: graph.input("ids", "i32", [rows]),
    places: {
      positions: graph.input("positions", "i32", [rows]),
      sequences: graph.input("sequences", "i32", [rows]),
      pages: graph.input("pages", "i32", [1, 1]),
    },
    cache: graph.state("cache", cacheSize(cacheShape)),
    cacheShape,
    tap,
  });
  tap("final_norm", loaded.decoder.normed(graph, x));
  using program = new Program(graph);
  const regions: Record<string, Region> = { cache: Region.create(cacheSize(cacheShape)) };
  for (const [name, value] of taps) {
    regions[name] = Region.create(value.dims.reduce<number>((n, dim) => n * extentMax(dim), 4));
  }
  await program.submit({
    inputs: {
      ids: Int32Array.from(ids),
      positions: Int32Array.from(ids, (_, row) => row),
      sequences: new Int32Array(rows),
      pages: Int32Array.of(0),
    },
    regions,
  });
  const states = new Map<string, Float32Array>();
  for (const name of taps.keys()) {
    states.set(name, new Float32Array(regions[name]!.bytes().slice().buffer));
  }
  for (const region of Object.values(regions)) region[Symbol.dispose]();
  return states;
}
