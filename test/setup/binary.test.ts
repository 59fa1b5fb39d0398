/**
 * The compiled binary needs nothing around it: it runs from an empty folder with an empty
 * environment. Long, for it compiles one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const file = process.platform === "win32" ? "bitnet.exe" : "bitnet";

let scratch: string;
let folder: string;

describe.skipIf(!process.env.BITNET_LONG)("binary", () => {
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), "bitnet-binary-"));
    folder = join(scratch, "empty");
    mkdirSync(folder);
    const built = Bun.spawnSync([process.execPath, "scripts/build-binary.ts"], { cwd: root });
    expect(built.exitCode).toBe(0);
    copyFileSync(join(root, "dist", file), join(scratch, file));
  }, 120_000);

  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test("the binary tells a story from an empty folder with an empty environment", () => {
    const { exitCode, stdout, stderr } = run({}, "run", "fairy-tales", "The wolf said");
    expect(stderr.toString()).toMatch(/\d+ tokens in .* tokens\/s/);
    expect(exitCode).toBe(0);
    expect(stdout.toString().length).toBeGreaterThan(300);
    expect(readdirSync(folder)).toEqual([]);
  }, 30_000);

  test("its models are laid out once below the cache, and the same story comes again", () => {
    const env = { BITNET_HOME: join(scratch, "cache") };
    const args = ["run", "fairy-tales", "The wolf said", "--seed", "7"];
    const first = run(env, ...args).stdout.toString();
    expect(readdirSync(join(scratch, "cache/bundled")).length).toBe(1);
    expect(run(env, ...args).stdout.toString()).toBe(first);
  }, 30_000);

  test("a bunfig.toml and a .env where it runs are none of its business", async () => {
    const hostile = join(scratch, "hostile");
    mkdirSync(hostile);
    await Bun.write(join(hostile, "bunfig.toml"), `preload = ["./stop.ts"]`);
    await Bun.write(join(hostile, "stop.ts"), "process.exit(66);");
    await Bun.write(join(hostile, ".env"), "BITNET_CORE=/nowhere");
    const command = [join(scratch, file), "run", "fairy-tales", "The wolf said"];
    const env = { BITNET_HOME: join(scratch, "cache") };
    expect(Bun.spawnSync(command, { cwd: hostile, env }).exitCode).toBe(0);
  }, 30_000);
});

function run(env: Record<string, string>, ...args: string[]) {
  return Bun.spawnSync([join(scratch, file), ...args], { cwd: folder, env, stdin: "ignore" });
}
