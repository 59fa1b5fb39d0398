/** The counts that `npm test` ends with, out of what the two runners print. */
import { expect, test } from "bun:test";
import { countBun, countZig, sum } from "../../scripts/setup/counts.mjs";

const colored = (text: string) => `\u001b[32m${text}\u001b[0m`;

test("countBun: passes and failures come from the closing lines, colours aside", () => {
  const output = `(pass) 3 pass\n\n${colored(" 12 pass")}\n 1 skip\n${colored(" 2 fail")}\nRan 15 tests`;
  expect(countBun(output, 1)).toEqual({ passed: 12, failed: 2 });
});

test("countBun: a file that cannot be loaded counts as a failure", () => {
  expect(countBun(" 4 pass\n 0 fail\n 1 error\n", 1)).toEqual({ passed: 4, failed: 1 });
});

test("countBun: a crash without a summary is one failure", () => {
  expect(countBun("(pass) a\n", 139)).toEqual({ passed: 0, failed: 1 });
});

test("countZig: skipped tests are neither passed nor failed; crashed and hanging ones failed", () => {
  const output =
    "Build Summary: 1/3 steps succeeded (1 failed); 5/10 tests passed " +
    "(1 skipped, 2 failed, 1 crashed, 1 timed out)\n";
  expect(countZig(output, 1)).toEqual({ passed: 5, failed: 4 });
});

test("countZig: all passed", () => {
  const output = "Build Summary: 3/3 steps succeeded; 14/14 tests passed\n";
  expect(countZig(output, 0)).toEqual({ passed: 14, failed: 0 });
});

test("countZig: a compile error is one failure", () => {
  expect(countZig("error: 1 compilation errors\n", 1)).toEqual({ passed: 0, failed: 1 });
});

test("sum: adds both runners", () => {
  const parts = [
    { passed: 2, failed: 1 },
    { passed: 3, failed: 0 },
  ];
  expect(sum(parts)).toEqual({ passed: 5, failed: 1 });
});
