/**
 * Counts out of the summaries that Bun's and Zig's test runners print. A run that ends badly
 * without a failed test (a crash, a file that does not compile) counts as one failure.
 */

/** @typedef {{ passed: number, failed: number }} Counts */

/**
 * Bun's closing lines: " 12 pass", " 1 fail", " 2 errors" (files that could not be loaded).
 * @param {string} output
 * @param {number} code
 * @returns {Counts}
 */
export function countBun(output, code) {
  const text = plain(output);
  const last = (/** @type {RegExp} */ pattern) => Number([...text.matchAll(pattern)].at(-1)?.[1]);
  const passed = last(/^ *(\d+) pass$/gm) || 0;
  const failed = (last(/^ *(\d+) fail$/gm) || 0) + (last(/^ *(\d+) errors?$/gm) || 0);
  return withExit({ passed, failed }, code);
}

/**
 * Zig's "; 11/14 tests passed (1 skipped, 1 failed, 1 crashed)".
 * @param {string} output
 * @param {number} code
 * @returns {Counts}
 */
export function countZig(output, code) {
  const summary = plain(output).match(/; (\d+)\/\d+ tests passed(?: \(([^)]*)\))?/);
  let failed = 0;
  for (const [, count] of (summary?.[2] ?? "").matchAll(/(\d+) (?:failed|crashed|timed out)/g)) {
    failed += Number(count);
  }
  return withExit({ passed: Number(summary?.[1] ?? 0), failed }, code);
}

/**
 * @param {Counts[]} all
 * @returns {Counts}
 */
export function sum(all) {
  return all.reduce(
    (total, { passed, failed }) => ({
      passed: total.passed + passed,
      failed: total.failed + failed,
    }),
    { passed: 0, failed: 0 },
  );
}

/**
 * @param {Counts} counts
 * @param {number} code
 */
function withExit({ passed, failed }, code) {
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed };
}

/** @param {string} text */
function plain(text) {
  const marker = String.fromCharCode(27);
  return text.replaceAll(new RegExp(`${marker}\\[[0-9;]*m`, "g"), "");
}
