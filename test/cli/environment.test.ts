/** Where models come from and are kept follows the environment. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { homedir } from "node:os";
import { join } from "node:path";
import { cacheDir, hubOptions, packingWish } from "../../src/cli/environment.ts";

const names = [
  "BITNET_HOME",
  "BITNET_PACKING",
  "XDG_CACHE_HOME",
  "HF_TOKEN",
  "HUGGING_FACE_HUB_TOKEN",
  "HF_ENDPOINT",
  "HF_HUB_OFFLINE",
];
const before = new Map<string, string | undefined>();

beforeEach(() => {
  for (const name of names) {
    before.set(name, process.env[name]);
    delete process.env[name];
  }
});

afterEach(() => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

test.skipIf(process.platform === "win32")("BITNET_HOME goes before XDG_CACHE_HOME", () => {
  expect(cacheDir()).toBe(join(homedir(), ".cache", "bitnet-bun"));
  process.env.XDG_CACHE_HOME = "/var/cache/me";
  expect(cacheDir()).toBe("/var/cache/me/bitnet-bun");
  process.env.BITNET_HOME = "/models";
  expect(cacheDir()).toBe("/models");
});

test("nothing in the environment means no token, the usual hub, and the network", () => {
  expect(hubOptions()).toEqual({ cacheDir: cacheDir(), offline: false });
});

test("HF_TOKEN goes before its older name, and offline has several spellings", () => {
  process.env.HUGGING_FACE_HUB_TOKEN = "old";
  process.env.HF_ENDPOINT = "https://hub.example";
  process.env.HF_HUB_OFFLINE = "True";
  expect(hubOptions()).toMatchObject({
    token: "old",
    endpoint: "https://hub.example",
    offline: true,
  });
  process.env.HF_TOKEN = "new";
  process.env.HF_HUB_OFFLINE = "0";
  expect(hubOptions()).toMatchObject({ token: "new", offline: false });
});

test("BITNET_PACKING is auto when absent, and refused when it is no packing", () => {
  expect(packingWish()).toBe("auto");
  process.env.BITNET_PACKING = "tile3";
  expect(packingWish()).toBe("tile3");
  process.env.BITNET_PACKING = "tile4";
  expect(packingWish).toThrow('BITNET_PACKING: expected auto, tile2 or tile3, got "tile4"');
});
