/** Pulls bring exactly what a model needs, checked, resumable, and usable offline. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { BitNetError } from "../../src/errors/index.ts";
import { type HubOptions, listModels, type PullProgress, pullModel } from "../../src/hub/index.ts";
import { commit, modelFiles, noise, repo, TestHub, textFile } from "./hub-server.ts";

const needed = [
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
];

let hub: TestHub;
let cacheDir: string;

beforeEach(async () => {
  hub = new TestHub(modelFiles());
  cacheDir = await mkdtemp(join(tmpdir(), "bitnet-hub-"));
});

afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(cacheDir, { recursive: true, force: true });
});

function pull(options: Partial<HubOptions> = {}) {
  return pullModel(repo, { cacheDir, endpoint: hub.endpoint, ...options });
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

const folder = () => join(cacheDir, ...repo.split("/"), commit);

async function filesIn(path: string): Promise<string[]> {
  const names = await readdir(path);
  return names.filter((name) => name !== "manifest.bitnet.json").sort();
}

/** Every file on disk equals the hub's; nothing unfinished is left. */
async function expectWhole(): Promise<void> {
  expect(await filesIn(folder())).toEqual(needed);
  for (const { path, content } of hub.files.filter(({ path }) => needed.includes(path))) {
    expect(await Bun.file(join(folder(), path)).bytes()).toEqual(content);
  }
}

test("a pull brings the files a model needs and no others", async () => {
  const model = await pull();
  const bytes = hub.files
    .filter(({ path }) => needed.includes(path))
    .reduce((sum, { content }) => sum + content.length, 0);
  expect(model).toEqual({ path: folder(), revision: commit, files: 5, bytes });
  await expectWhole();
  expect(hub.requestsFor("pytorch_model.bin")).toEqual([]);
});

test("a second pull fetches no content, offline it asks nothing", async () => {
  const first = await pull();
  hub.seen.length = 0;
  expect(await pull()).toEqual(first);
  expect(hub.seen.every(({ path }) => path.startsWith("/api/"))).toBe(true);
  hub.seen.length = 0;
  expect(await pull({ offline: true })).toEqual(first);
  expect(await pull({ offline: true, revision: commit })).toEqual(first);
  expect(hub.seen).toEqual([]);
});

test("progress grows to all bytes and all files", async () => {
  const reports: PullProgress[] = [];
  const { bytes } = await pull({ onProgress: (progress) => reports.push(progress) });
  const done = reports.map(({ bytesDone }) => bytesDone);
  expect(done).toEqual(done.toSorted((a, b) => a - b));
  expect(reports.at(-1)).toMatchObject({ bytesDone: bytes, bytesTotal: bytes, filesDone: 5 });
});

test("the token reaches the endpoint and no other origin", async () => {
  hub.token = "secret";
  await pull({ token: "secret" });
  const [atHub, atCdn] = ["hub", "cdn"].map((origin) =>
    hub.seen.filter((one) => one.origin === origin).map((one) => one.authorization),
  );
  expect(new Set(atHub)).toEqual(new Set(["Bearer secret"]));
  expect(new Set(atCdn)).toEqual(new Set([null]));
});

describe("broken connections", () => {
  test("a connection cut in the middle goes on where it stopped", async () => {
    Object.assign(hub.faults, { cutAfter: 100_000, cutsLeft: 2 });
    await pull();
    await expectWhole();
    const ranges = hub.requestsFor("model.safetensors").map(({ range }) => range);
    expect(new Set(ranges)).toEqual(new Set([null, "bytes=100000-", "bytes=200000-"]));
  });

  test("a server that sends all of it instead of the rest is read from the start", async () => {
    Object.assign(hub.faults, { cutAfter: 100_000, cutsLeft: 1, ignoresRanges: true });
    await pull();
    await expectWhole();
  });

  test("a pull that fails leaves a part that the next one goes on with", async () => {
    Object.assign(hub.faults, { cutAfter: 50_000, statusAfterCut: 503 });
    expect(await codeOf(pull({ retries: 0 }))).toBe("hub/unreachable");
    expect((await filesIn(folder())).filter((name) => name.endsWith(".partial")).length).toBe(1);
    hub.faults = {};
    hub.seen.length = 0;
    await pull();
    await expectWhole();
    const ranges = hub.requestsFor("model.safetensors").map(({ range }) => range);
    expect(new Set(ranges)).toEqual(new Set(["bytes=50000-"]));
  });

  test("the part of a killed process is taken over, that of a live one is not", async () => {
    await pull();
    const weights = hub.files.find(({ path }) => path === "model.safetensors")!;
    const id = Bun.SHA256.hash(weights.content, "hex").slice(0, 16);
    const gone = Bun.spawn([process.execPath, "--version"], { stdout: "ignore" });
    await gone.exited;
    const host = hostname()
      .replaceAll(/[^A-Za-z0-9]/g, "_")
      .slice(0, 40);
    for (const pid of [process.ppid, gone.pid]) {
      await rm(join(folder(), "model.safetensors"));
      const part = join(folder(), `model.safetensors.${id}.partial.${host}-${pid}-0`);
      await Bun.write(part, weights.content.subarray(0, 60_000));
      hub.seen.length = 0;
      await pull();
      const isTaken = pid === gone.pid;
      expect(hub.requestsFor("model.safetensors")[0]?.range).toBe(isTaken ? "bytes=60000-" : null);
      expect(await Bun.file(part).exists()).toBe(!isTaken);
      await rm(part, { force: true });
    }
    await expectWhole();
  });

  test("a part that is damaged is dropped and fetched anew", async () => {
    await pull();
    const weights = hub.files.find(({ path }) => path === "model.safetensors")!;
    const id = Bun.SHA256.hash(weights.content, "hex").slice(0, 16);
    await rm(join(folder(), "model.safetensors"));
    await Bun.write(join(folder(), `model.safetensors.${id}.partial`), noise(1_000, 9));
    await pull();
    await expectWhole();
  });

  test("an abort stops the pull and keeps what has arrived", async () => {
    hub.faults.chunkMs = 20;
    const controller = new AbortController();
    const reason = new Error("enough");
    const running = pull({
      signal: controller.signal,
      onProgress: ({ file, bytesDone }) => {
        if (file === "model.safetensors" && bytesDone > 30_000) controller.abort(reason);
      },
    });
    await expect(running).rejects.toBe(reason);
    const names = await filesIn(folder());
    expect(names.filter((name) => name.endsWith(".partial")).length).toBe(1);
    expect(names).not.toContain("model.safetensors");
    expect(await codeOf(pull({ offline: true }))).toBe("hub/offline");
    hub.faults.chunkMs = 0;
    await pull();
    await expectWhole();
  });

  test("two pulls at once both end with whole files", async () => {
    hub.faults.chunkMs = 2;
    const [one, other] = await Promise.all([pull(), pull()]);
    expect(one).toEqual(other!);
    await expectWhole();
  });
});

describe("refusals", () => {
  test("a wrong hash is refused and leaves nothing", async () => {
    hub.files.find(({ path }) => path === "model.safetensors")!.sha256 = "0".repeat(64);
    expect(await codeOf(pull())).toBe("hub/hash-mismatch");
    expect(await filesIn(folder())).toEqual(needed.filter((name) => name !== "model.safetensors"));
    expect(await codeOf(pull({ offline: true }))).toBe("hub/offline");
  });

  test("401, 403 and 404 are told apart, with the remedy", async () => {
    const cases = [
      { status: 401, code: "hub/unauthorized", remedy: "HF_TOKEN" },
      { status: 403, errorCode: "GatedRepo", code: "hub/unauthorized", remedy: "accept its terms" },
      { status: 404, code: "hub/not-found", remedy: "check the name" },
      { status: 500, code: "hub/unreachable", remedy: "try again" },
      { status: 418, code: "hub/bad-response", remedy: "endpoint" },
    ];
    for (const { status, errorCode, code, remedy } of cases) {
      Object.assign(hub.faults, { status, errorCode });
      expect(await codeOf(pull())).toBe(code);
      await expect(pull()).rejects.toThrow(remedy);
    }
  });

  test("a private model without a token, and a revision there is not", async () => {
    expect(await codeOf(pull({ revision: "v2" }))).toBe("hub/not-found");
    hub.token = "secret";
    expect(await codeOf(pull())).toBe("hub/unauthorized");
    expect(await codeOf(pull({ token: "wrong" }))).toBe("hub/unauthorized");
  });

  test("a hub that is not there, or speaks otherwise", async () => {
    const gone = "http://127.0.0.1:1";
    expect(await codeOf(pull({ endpoint: gone }))).toBe("hub/unreachable");
    for (const body of ["not json", "{}", "[]", "null"]) {
      hub.faults.body = body;
      expect(await codeOf(pull())).toBe("hub/bad-response");
    }
    for (const endpoint of ["", "ftp://x", "huggingface.co"]) {
      expect(await codeOf(pull({ endpoint }))).toBe("hub/invalid-option");
    }
  });

  test("file names that lead out of the folder are refused before anything is written", async () => {
    const paths = [
      "../evil.json",
      "/etc/x",
      "a/../../b",
      "a\\..\\b",
      "C:evil",
      "a//b",
      "nul\0",
      "a.",
    ];
    for (const path of paths) {
      hub.files = [textFile(path, "x"), ...modelFiles()];
      expect(await codeOf(pull())).toBe("hub/unsafe-path");
    }
    expect(await readdir(cacheDir)).toEqual([]);
    expect(await codeOf(pull({ file: "../x.gguf" }))).toBe("hub/unsafe-path");
  });

  test("names and revisions that are none", async () => {
    for (const name of ["", "model", "a/b/c", "../b", "a/..", "a b/c", "a/b?c", "./a/b"]) {
      const running = pullModel(name, { cacheDir, endpoint: hub.endpoint });
      expect(await codeOf(running)).toBe("hub/invalid-name");
    }
    for (const revision of ["", "../x", "a b", "a\0"]) {
      expect(await codeOf(pull({ revision }))).toBe("hub/invalid-option");
    }
    expect(hub.seen).toEqual([]);
  });

  test("a repository without weights, or without a configuration", async () => {
    hub.files = [textFile("config.json", "{}"), textFile("pytorch_model.bin", "x")];
    expect(await codeOf(pull())).toBe("hub/no-model-files");
    hub.files = [textFile("model.safetensors", "x")];
    expect(await codeOf(pull())).toBe("hub/no-model-files");
  });

  test("a cache that cannot be written", async () => {
    const file = join(cacheDir, "file");
    await Bun.write(file, "x");
    expect(await codeOf(pull({ cacheDir: file }))).toBe("hub/cache-io");
  });
});

describe("GGUF repositories", () => {
  test("the only GGUF file is the model", async () => {
    hub.files = [textFile("README.md", "x"), textFile("model.gguf", "GGUF")];
    const { path, files } = await pull();
    expect(path).toBe(join(folder(), "model.gguf"));
    expect(files).toBe(1);
    expect((await pull({ offline: true })).path).toBe(path);
  });

  test("of several the option file chooses, and each is found offline afterwards", async () => {
    hub.files = [textFile("a.gguf", "GGUFa"), textFile("sub/b.gguf", "GGUFb")];
    expect(await codeOf(pull())).toBe("hub/no-model-files");
    expect(await codeOf(pull({ file: "c.gguf" }))).toBe("hub/not-found");
    for (const file of ["a.gguf", "sub/b.gguf"]) {
      expect((await pull({ file })).path).toBe(join(folder(), file));
    }
    for (const file of ["a.gguf", "sub/b.gguf"]) {
      expect((await pull({ file, offline: true })).path).toBe(join(folder(), file));
    }
    expect(await codeOf(pull({ offline: true }))).toBe("hub/offline");
  });
});

test("a branch that has moved brings the new commit, and the old one stays", async () => {
  const old = await pull();
  hub.sha = "f".repeat(40);
  hub.files = modelFiles().map((file) =>
    file.path === "model.safetensors" ? { ...file, content: noise(1_000) } : file,
  );
  const moved = await pull();
  expect(moved.path).not.toBe(old.path);
  expect((await pull({ offline: true })).path).toBe(moved.path);
  expect((await pull({ offline: true, revision: commit })).path).toBe(old.path);
  const models = await listModels(cacheDir);
  expect(models.map(({ name }) => name)).toEqual([repo, repo]);
});
