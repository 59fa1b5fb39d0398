/**
 * Ends at the wrong moment: exit, throw, abort, dispose, a Worker's end, Ctrl-C and kill while a
 * model loads, generates or is fetched. Nothing crashes, hangs or stays behind.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pullModel } from "../../src/hub/index.ts";
import { load, type Model } from "../../src/index.ts";
import { memoryMetrics } from "../../src/native/index.ts";
import { startBitnet } from "../cli/run-bitnet.ts";
import { commit, modelFiles, repo, TestHub } from "../hub/hub-server.ts";

// Many of these start processes, which takes its time on a busy machine.
setDefaultTimeout(60_000);

const fixtures = join(import.meta.dir, "..", "fixtures", "models");
const opening = "Once upon a time";
const endless = { ignoreEos: true, slide: true, seed: 1 };

/** What the core holds, to be compared with what it holds later. */
function held() {
  const { used, mapped, regions } = memoryMetrics();
  return { used, mapped, regions };
}

async function outcomeOf(name: string) {
  const script = join(import.meta.dir, "interrupted.ts");
  const child = Bun.spawn([process.execPath, script, name], { stdout: "pipe", stderr: "pipe" });
  const kill = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  clearTimeout(kill);
  return { code: child.exitCode, signal: child.signalCode, out, err };
}

describe("a process in the middle of a generation", () => {
  test("process.exit ends it at once with its code", async () => {
    expect(await outcomeOf("exit")).toEqual({ code: 7, signal: null, out: "", err: "" });
  });

  test("an error that nobody catches ends it with that error", async () => {
    const { code, signal, err } = await outcomeOf("throw");
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(err).toContain("thrown on purpose");
  });

  test("it ends by itself after leaving the loop, and with a run that is forgotten", async () => {
    const [left, forgotten] = await Promise.all([outcomeOf("leave"), outcomeOf("forget")]);
    expect(left).toEqual({ code: 0, signal: null, out: "left\n", err: "" });
    expect(forgotten).toEqual({ code: 0, signal: null, out: "forgotten\n", err: "" });
  });

  test("process.exit while a Worker generates ends it at once with its code", async () => {
    expect(await outcomeOf("exit-beside-worker")).toMatchObject({ code: 7, signal: null, err: "" });
  });
});

describe("abort while loading", () => {
  const path = join(fixtures, "bitnet-2b4t-bf16");

  test("at every step of it rejects with the signal's reason and leaves nothing", async () => {
    const before = held();
    let steps = 0;
    await using whole = await load(path, { onProgress: () => (steps += 1) });
    expect(steps).toBeGreaterThan(10);
    await whole[Symbol.asyncDispose]();
    for (let at = 1; at <= steps; at += 1) {
      const controller = new AbortController();
      const reason = new Error(`step ${at}`);
      let seen = 0;
      const onProgress = (): void => {
        seen += 1;
        if (seen === at) controller.abort(reason);
      };
      const outcome: unknown = await load(path, { signal: controller.signal, onProgress }).catch(
        (error: unknown) => error,
      );
      if (at < steps) expect(outcome).toBe(reason);
      else await (outcome as Model)[Symbol.asyncDispose]?.();
      expect(held()).toEqual(before);
    }
  });

  test("at any moment of it rejects with the signal's reason and leaves nothing", async () => {
    const before = held();
    for (let turn = 0; turn < 30; turn += 1) {
      const controller = new AbortController();
      const loading = load(path, { signal: controller.signal });
      await Bun.sleep(turn);
      controller.abort();
      const outcome: unknown = await loading.catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome.name).toBe("AbortError");
      else await (outcome as Model)[Symbol.asyncDispose]();
      expect(held()).toEqual(before);
    }
  });

  test("a callback that throws ends the loading with its error and leaves nothing", async () => {
    const before = held();
    const error = new Error("thrown on purpose");
    const onProgress = (): never => {
      throw error;
    };
    expect(load(path, { onProgress })).rejects.toBe(error);
    await load(path, { onProgress }).catch(() => {});
    expect(held()).toEqual(before);
  });
});

describe("dispose while generating", () => {
  test("does not wait for a reader who has stopped reading", async () => {
    const before = held();
    const model = await load("fairy-tales");
    const reader = model.generate(opening, endless)[Symbol.asyncIterator]();
    await reader.next();
    const unread = model.generate(opening, endless);
    await model[Symbol.asyncDispose]();
    expect(held()).toEqual(before);
    let last = await reader.next();
    for (let next = last; !next.done; next = await reader.next()) last = next;
    expect(last.value).toMatchObject({ finishReason: "aborted" });
    await expect(unread.text()).rejects.toMatchObject({ code: "engine/disposed" });
    expect(held()).toEqual(before);
  });

  test("works from within the loop that reads", async () => {
    const before = held();
    const model = await load("fairy-tales");
    let reason: string | null = null;
    for await (const piece of model.generate(opening, endless)) {
      await model[Symbol.asyncDispose]();
      reason = piece.finishReason;
    }
    expect(reason as string | null).toBe("aborted");
    expect(held()).toEqual(before);
  });

  test("ends generations at any moment, and waits for logits", async () => {
    const before = held();
    for (let turn = 0; turn < 12; turn += 1) {
      const model = await load("fairy-tales");
      const ends = [opening, "The wolf said"].map(async (prompt) => {
        let last: string | null = null;
        for await (const { finishReason } of model.generate(prompt, endless)) last = finishReason;
        return last;
      });
      const logits = model.logits([1, 2, 3]);
      await Bun.sleep(turn);
      await model[Symbol.asyncDispose]();
      expect(await logits).toHaveLength(3 * model.info.vocabularySize);
      for (const end of await Promise.all(ends)) expect(end).toBe("aborted");
      expect(held()).toEqual(before);
    }
  });
});

test("a Worker that is terminated while it generates disturbs nobody and leaves nothing", async () => {
  await using model = await load("fairy-tales");
  const options = { temperature: 0, maxTokens: 120, ignoreEos: true };
  const alone = await model.generate(opening, options).text();
  const before = held();
  for (let turn = 0; turn < 3; turn += 1) {
    const worker = new Worker(new URL("./generating-worker.ts", import.meta.url).href);
    await new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
    const during = model.generate(opening, options).text();
    await Bun.sleep(5 * turn);
    worker.terminate();
    expect(await during).toBe(alone);
    expect(await model.generate(opening, options).text()).toBe(alone);
    // Its thread and its run end on their own time.
    for (let wait = 0; wait < 100 && held().used > before.used; wait += 1) await Bun.sleep(20);
    expect(held()).toEqual(before);
  }
});

test("Ctrl-C ends `bitnet run` with 130 at any moment, without a word of error", async () => {
  const delays = [150, 200, 250, 300, 350, 400, 500, 700];
  for (const delay of delays) {
    const child = startBitnet(["run", "--slide", "-n", "1000000", "--seed", "1"]);
    child.stdin.end();
    const texts = Promise.all([child.stdout.text(), child.stderr.text()]);
    await Bun.sleep(delay);
    const sent = performance.now();
    child.kill("SIGINT");
    const [out, err] = await texts;
    await child.exited;
    expect(performance.now() - sent).toBeLessThan(2000);
    // Before anyone listens the signal itself ends the process.
    expect(child.exitCode ?? child.signalCode).toBeOneOf([130, "SIGINT"]);
    expect(err).not.toMatch(/error|\bat /);
    expect(out).toMatch(/^$|\n$/);
  }
});

test("a pull that is killed leaves a part, and the next one goes on from it", async () => {
  const cacheDir = await mkdtemp(join(tmpdir(), "bitnet-killed-"));
  await using hub = new TestHub(modelFiles());
  hub.faults.chunkMs = 30;
  const env = { BITNET_HOME: cacheDir, HF_HUB_OFFLINE: "", HF_ENDPOINT: hub.endpoint };
  const child = startBitnet(["pull", repo], env);
  const folder = (await partsFolder(cacheDir))!;
  child.kill("SIGKILL");
  await child.exited;
  const parts = (await readdir(folder)).filter((name) => name.includes(".partial"));
  expect(parts.length).toBeGreaterThan(0);
  hub.faults.chunkMs = 0;
  hub.seen.length = 0;
  await pullModel(repo, { cacheDir, endpoint: hub.endpoint });
  expect(hub.requestsFor("model.safetensors")[0]?.range).toMatch(/^bytes=[1-9]/);
  expect((await readdir(folder)).filter((name) => name.includes(".partial"))).toEqual([]);
  await rm(cacheDir, { recursive: true });
});

/** The folder in which a part of the weights lies, once there is one with some content. */
async function partsFolder(cacheDir: string): Promise<string | undefined> {
  for (let wait = 0; wait < 500; wait += 1) {
    await Bun.sleep(10);
    const names = await readdir(cacheDir, { recursive: true });
    const part = names.find((name) => name.includes("model.safetensors.") && name.includes(commit));
    if (part && Bun.file(join(cacheDir, part)).size > 0) return join(cacheDir, part, "..");
  }
  throw new Error("the pull did not begin within five seconds");
}
