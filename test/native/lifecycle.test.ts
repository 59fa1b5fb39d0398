/** Processes and Workers that end while the core works leave at once, with their own code. */
import { expect, test } from "bun:test";
import { join } from "node:path";

interface End {
  code: number | null;
  signal: NodeJS.Signals | number | null;
  out: string;
  error: string;
}

/** Ends of a child that gets 20 seconds; a hang ends it with a signal. */
async function end(way: string, signal?: NodeJS.Signals): Promise<End> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "child.ts"), way], {
    stdout: "pipe",
    stderr: "pipe",
    timeout: 20_000,
  });
  if (signal) {
    await Bun.sleep(500);
    child.kill(signal);
  }
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return { code: child.exitCode, signal: child.signalCode, out: out.trim(), error: error.trim() };
}

const clean = { code: 0, signal: null, error: "" };

const ways: Record<string, string> = {
  exit: "",
  "exit in a callback": "",
  "exit with a queue": "",
  "exit beside a Worker's run": "started running",
  "exit from a Worker": "",
  "fall off the end": "20000 steps",
  "terminate Workers": "0 bytes, 5000 steps",
  "terminate a Worker beside a run": "20000 steps",
  "run beside Workers": "1000 1000, 2000 2000, 3000 3000\n20000 steps",
  "dispose in the middle": "3000 steps",
};

for (const [way, out] of Object.entries(ways)) {
  test(`${way}: the process ends cleanly`, async () => {
    expect(await end(way)).toEqual({ ...clean, out });
  }, 30_000);
}

test("die of an error: the process ends with code 1 and the error", async () => {
  const { code, signal, error } = await end("die of an error");
  expect([code, signal]).toEqual([1, null]);
  expect(error).toContain("on purpose");
}, 30_000);

test("an interrupt in the middle of a run ends the process as interrupts do", async () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const { signal: got, error } = await end("wait", signal);
    expect([got, error]).toEqual([signal, ""]);
  }
}, 30_000);
