/**
 * The cross-built arm64 core computes what its tests say: they run under qemu-user in the real
 * arm64 Bun, on a CPU without extensions, one with the dot product and one with i8mm. Long; needs
 * qemu-aarch64, an arm64 C library and dist/emulator/bun, which `.ci/run` installs.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zigEnvironment } from "../../scripts/setup/steps.mjs";
import { findZig } from "../../scripts/setup/tools.mjs";

const root = join(import.meta.dir, "../..");
const emulator = Bun.which("qemu-aarch64");
const library = "/usr/aarch64-linux-gnu";
const bun = join(root, "dist/emulator/bun");
const prefix = join(root, "dist/cores/linux-arm64");
const isThere = emulator !== null && existsSync(library) && existsSync(bun);
const minutes = 60_000;

/** The heart of the suite: kernels as Programs, sampling, and a whole model. */
const tests = ["test/graph", "test/generate/sampling-kernels", "test/models/fairy-tales"];

describe.skipIf(!process.env.BITNET_LONG || !isThere)("arm64 under qemu", () => {
  beforeAll(() => {
    const built = Bun.spawnSync(
      [
        ...[findZig(root), "build", "--build-file", "zig/build.zig"],
        ...["--prefix", prefix, "-Dtarget=aarch64-linux-gnu"],
      ],
      { cwd: root, env: zigEnvironment(root) },
    );
    expect(built.stderr.toString()).not.toContain("error:");
  }, 10 * minutes);

  test("the i8mm level multiplies matrices: smmla, and usmmla for codes above 127", () => {
    const core = readFileSync(join(prefix, "lib/libbitnet.so"));
    const words = new Uint32Array(core.buffer, core.byteOffset, core.length >>> 2);
    // Source: Arm Architecture Reference Manual, C7.2, encodings without their registers.
    const encodings = new Set(words.map((word) => (word & 0xffe0fc00) >>> 0));
    expect(encodings).toContain(0x4e80a400);
    expect(encodings).toContain(0x4e80ac00);
  });

  for (const cpu of ["cortex-a72", "neoverse-n1", "max"]) {
    test(
      `the kernels' tests pass on ${cpu}`,
      () => {
        const { exitCode, stderr } = Bun.spawnSync(
          [
            ...[emulator ?? "", "-cpu", cpu, "-L", library],
            ...[bun, "test", "--timeout", String(2 * minutes), ...tests],
          ],
          {
            cwd: root,
            env: { ...process.env, BITNET_LONG: "", BITNET_CORE: join(prefix, "lib/libbitnet.so") },
          },
        );
        expect(`${exitCode}: ${stderr.toString().match(/^\(fail\).*$/gm) ?? "all pass"}`).toBe(
          "0: all pass",
        );
      },
      10 * minutes,
    );
  }
});
