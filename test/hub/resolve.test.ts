/** Names become paths: bundled, on disk, cached, pulled; what is none of these is refused. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BitNetError } from "../../src/errors/index.ts";
import { type HubOptions, listModels, resolveModel } from "../../src/hub/index.ts";
import { commit, modelFiles, repo, TestHub } from "./hub-server.ts";

const hub = new TestHub(modelFiles());
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "bitnet-resolve-"));
  await mkdir(join(root, "models", "fairy-tales"), { recursive: true });
  await Bun.write(join(root, "some.gguf"), "GGUF");
});

afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

function resolveName(name: string, options: Partial<HubOptions> = {}): Promise<string> {
  const cacheDir = join(root, "cache");
  const bundledDir = join(root, "models");
  return resolveModel(name, { cacheDir, bundledDir, endpoint: hub.endpoint, ...options });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof BitNetError) return error.code;
    throw error;
  }
  return "no error";
}

test("a bundled model and a path on disk need neither hub nor cache", async () => {
  expect(await resolveName("fairy-tales")).toBe(join(root, "models", "fairy-tales"));
  expect(await resolveName(join(root, "some.gguf"))).toBe(join(root, "some.gguf"));
  expect(await resolveName(root)).toBe(root);
  expect(hub.seen).toEqual([]);
});

test("owner/name is pulled once and found in the cache afterwards", async () => {
  expect(await codeOf(resolveName(repo, { offline: true }))).toBe("hub/offline");
  expect(await listModels(join(root, "cache"))).toEqual([]);
  const path = await resolveName(repo);
  expect(path).toBe(join(root, "cache", ...repo.split("/"), commit));
  hub.seen.length = 0;
  expect(await resolveName(repo)).toBe(path);
  expect(await resolveName(repo, { offline: true, revision: commit })).toBe(path);
  expect(hub.seen).toEqual([]);
  const models = await listModels(join(root, "cache"));
  expect(models).toMatchObject([{ name: repo, revision: commit, path, files: 5 }]);
});

test("a model with a file missing is no longer in the cache, and is completed", async () => {
  const path = await resolveName(repo);
  await rm(join(path, "config.json"));
  expect(await codeOf(resolveName(repo, { offline: true }))).toBe("hub/offline");
  hub.seen.length = 0;
  expect(await resolveName(repo)).toBe(path);
  expect(hub.requestsFor("config.json").length).toBe(1);
  expect(hub.requestsFor("model.safetensors")).toEqual([]);
});

test("a broken manifest is no manifest", async () => {
  const path = await resolveName(repo);
  for (const text of ["", "{", "null", "[]", '{"files":[{"path":"../x","bytes":1}]}']) {
    await Bun.write(join(path, "manifest.bitnet.json"), text);
    expect(await codeOf(resolveName(repo, { offline: true }))).toBe("hub/offline");
  }
  expect(await resolveName(repo)).toBe(path);
});

test("what is no model is refused, with what would be one", async () => {
  for (const name of ["./nowhere", "../x/y", "nowhere.gguf", "a\\b", "/no/such"]) {
    expect(await codeOf(resolveName(name))).toBe("hub/not-found");
  }
  for (const name of ["", "unknown", "a/b/c", "a b", "x\0", "a/.."]) {
    expect(await codeOf(resolveName(name))).toBe("hub/invalid-name");
  }
  await expect(resolveName("unknown")).rejects.toThrow("fairy-tales");
  expect(await codeOf(resolveName(repo, { revision: "../up" }))).toBe("hub/invalid-option");
});

test("an abort before the start stops at once", async () => {
  const signal = AbortSignal.abort(new Error("stop"));
  await expect(resolveName(repo, { signal })).rejects.toThrow("stop");
});
