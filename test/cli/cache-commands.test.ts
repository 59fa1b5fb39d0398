/** pull, list, rm and inspect over a cache of their own and a hub on this machine. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commit, modelFiles, repo, TestHub } from "../hub/hub-server.ts";
import { bitnet } from "./run-bitnet.ts";

let hub: TestHub;
let cacheDir: string;

beforeEach(async () => {
  hub = new TestHub(modelFiles());
  cacheDir = await mkdtemp(join(tmpdir(), "bitnet-cli-"));
});

afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  await rm(cacheDir, { recursive: true, force: true });
});

function online(...args: string[]) {
  const env = { BITNET_HOME: cacheDir, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: "0" };
  return bitnet(args, { env });
}

test("a pulled model is listed, found again without the network, and removed", async () => {
  const pulled = await online("pull", repo);
  expect(pulled).toMatchObject({ exitCode: 0, stdout: `${join(cacheDir, repo, commit)}\n` });
  expect(pulled.stderr).toMatch(/^tiny\/model at 0123456789ab: 5 files, [\d.]+ kB\n$/);

  const requests = hub.seen.length;
  const offline = { BITNET_HOME: cacheDir, HF_ENDPOINT: hub.endpoint };
  const again = await bitnet(["pull", repo, "--json"], { env: offline });
  expect(JSON.parse(again.stdout)).toMatchObject({ name: repo, revision: commit, files: 5 });
  expect(hub.seen.length).toBe(requests);

  const listed = await online("list");
  expect(listed.stdout).toMatch(/^MODEL +REVISION +SIZE +PULLED\n/);
  expect(listed.stdout).toMatch(/\nfairy-tales +bundled +[\d.]+ MB\n/);
  expect(listed.stdout).toMatch(/\ntiny\/model +0123456789ab +[\d.]+ kB +\d{4}-\d\d-\d\d\n/);

  const removed = await online("rm", repo);
  expect(removed).toMatchObject({ exitCode: 0, stderr: "" });
  expect(removed.stdout).toMatch(/^removed tiny\/model: [\d.]+ kB\n$/);
  expect(existsSync(join(cacheDir, repo))).toBe(false);
  expect((await online("list", "--json")).stdout).not.toContain(repo);
});

test("a model of the hub with a token it was not given is refused with the remedy", async () => {
  hub.token = "secret";
  const { exitCode, stderr } = await online("pull", repo);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("code: hub/unauthorized\n");
});

test("Ctrl-C during a pull ends it with 130 and no trace", async () => {
  hub.faults.chunkMs = 50;
  const env = { BITNET_HOME: cacheDir, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: "0" };
  const { startBitnet } = await import("./run-bitnet.ts");
  const child = startBitnet(["pull", repo], env);
  while (!hub.seen.some(({ path }) => path.includes("/resolve/"))) await Bun.sleep(10);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(await child.stderr.text()).toBe("");
});

test("inspect tells architecture, sizes and memory of the bundled model", async () => {
  const { exitCode, stdout, stderr } = await bitnet(["inspect", "fairy-tales", "--tensors"]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toMatch(/^architecture +bitnet, relu2$/m);
  expect(stdout).toMatch(/^context +256 tokens$/m);
  expect(stdout).toMatch(/^model\.embed_tokens\.weight +\S+ +\(2048, 256\) /m);
});

test("inspect --json has memory and every tensor", async () => {
  const { stdout } = await bitnet(["inspect", "--json"]);
  const { layers, memory, tensors } = JSON.parse(stdout);
  expect(layers).toBe(8);
  expect(memory).toMatchObject({ fits: true, total: expect.any(Number) });
  expect(tensors).toHaveLength(146);
});
