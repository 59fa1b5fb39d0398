/**
 * The decoding of tile3 by ARM's table instructions, and its dot and matrix products, in an
 * emulator: no machine of another kind is needed. With BITNET_LONG only; skipped where qemu-aarch64
 * is missing.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { zigEnvironment } from "../../scripts/setup/steps.mjs";
import { findZig } from "../../scripts/setup/tools.mjs";

const checkout = join(import.meta.dir, "..", "..");
const isLong = process.env.BITNET_LONG === "1";
const emulator = Bun.which("qemu-aarch64");

for (const cpu of ["baseline", "baseline+dotprod", "baseline+dotprod+i8mm"]) {
  test.skipIf(!isLong || emulator === null)(
    `every byte decodes, and integer products are exact, on ${cpu}`,
    async () => {
      const target = ["-target", "aarch64-linux-musl", `-mcpu=${cpu}`, "-OReleaseSafe"];
      const runner = [emulator!, "-cpu", "max"].flatMap((word) => ["--test-cmd", word]);
      const child = Bun.spawn(
        [findZig(checkout), "test", "kernels/tile3.zig", ...target, ...runner, "--test-cmd-bin"],
        { cwd: join(checkout, "zig"), env: zigEnvironment(checkout), stderr: "pipe" },
      );
      const output = await child.stderr.text();
      expect(output).toContain("All 4 tests passed");
      expect(await child.exited).toBe(0);
    },
    10 * 60_000,
  );
}
