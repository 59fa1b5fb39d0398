/**
 * Set-up, then the Zig tests and the Bun tests; the last line has their real counts. Arguments go
 * to `bun test` and narrow the run to it; --long runs the campaigns instead: every test file that
 * asks for BITNET_LONG, with it set.
 *
 *   npm test
 *   npm test -- test/text -t "wordpiece"
 *   npm run test:long
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { countBun, countZig, sum } from "./setup/counts.mjs";
import { interruptible, runQuiet } from "./setup/process.mjs";
import { zigEnvironment } from "./setup/steps.mjs";
import { findZig } from "./setup/tools.mjs";
import { checkout, withSetup } from "./setup.mjs";

/** A test shall not fail because the machine is busy; Bun's own limit is five seconds. */
const timeoutMs = "30000";

const args = process.argv.slice(2);
const isLong = args.includes("--long");
const filters = args.filter((argument) => argument !== "--long");

await withSetup({}, (bun) =>
  interruptible(
    () => {},
    async () => {
      const results = [];
      if (!isLong && filters.length === 0) results.push(await testZig());
      results.push(await testBun(bun));
      for (const { name, passed, failed } of results) {
        console.log(`${name}: ${passed} passed, ${failed} failed`);
      }
      const { passed, failed } = sum(results);
      console.log(`${passed} passed, ${failed} failed`);
      return failed === 0 ? 0 : 1;
    },
  ),
);

async function testZig() {
  const command = [findZig(checkout), "build", "test", "--build-file", "zig/build.zig"];
  const { code, output } = await runQuiet([...command, "--summary", "all"], {
    cwd: checkout,
    env: zigEnvironment(checkout),
    onText: (text) => process.stderr.write(text),
  });
  return { name: "zig", ...countZig(output, code) };
}

/** @param {string} bun */
async function testBun(bun) {
  const env = { ...process.env };
  if (process.stderr.isTTY) env.FORCE_COLOR = "1";
  if (isLong) env.BITNET_LONG = "1";
  const files = isLong && filters.length === 0 ? campaigns() : filters;
  if (isLong && files.length === 0) return { name: "bun", passed: 0, failed: 0 };
  const { code, output } = await runQuiet([bun, "test", "--timeout", timeoutMs, ...files], {
    cwd: checkout,
    env,
    onText: (text) => process.stderr.write(text),
  });
  return { name: "bun", ...countBun(output, code) };
}

function campaigns() {
  return readdirSync(join(checkout, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => join("test", file))
    .filter((file) => readFileSync(join(checkout, file), "utf8").includes("BITNET_LONG"))
    .map((file) => `./${file}`);
}
