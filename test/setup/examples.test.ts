/** Every example runs to its end and says something. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dir, "../../examples");
/** A line that each must print. */
const lines: Record<string, RegExp> = {
  "abort.ts": /^ended: aborted$/m,
  "logits.ts": /^ +\d+\.\d % /m,
  "memory.ts": /^allocating 209715200 bytes: .*samples 3\.8MiB in 1/m,
  "tensors.ts": /^y = 2\.99 x \+ -0\.99$[\s\S]*^It learned\.$/m,
  "story.ts": /^120 tokens, \d+ a second$/m,
  "two-at-once.ts": /^The first one alone is the same\.$/m,
};

for (const name of readdirSync(folder)) {
  test(`${name} runs`, async () => {
    const child = Bun.spawn([process.execPath, join(folder, name)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ code: await child.exited, error }).toEqual({ code: 0, error: "" });
    expect(out).toMatch(lines[name] ?? /\S/);
  }, 60_000);
}
