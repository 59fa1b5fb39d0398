/** Starts the command as people do, in a process of its own with an environment of its own. */
import { join } from "node:path";

const main = join(import.meta.dir, "..", "..", "src", "cli", "main.ts");

export interface CallOptions {
  /** Standard input; empty when absent. */
  input?: string;
  env?: Record<string, string>;
}

export interface CallResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** The process, with pipes on all three ends. */
export function startBitnet(args: readonly string[], env: Record<string, string> = {}) {
  return Bun.spawn([process.execPath, main, ...args], {
    env: { ...inherited(), BITNET_HOME: "/nonexistent/bitnet-home", HF_HUB_OFFLINE: "1", ...env },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs the command to its end. */
export async function bitnet(
  args: readonly string[],
  { input = "", env }: CallOptions = {},
): Promise<CallResult> {
  const child = startBitnet(args, env);
  child.stdin.write(input);
  child.stdin.end();
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

/** What the core and the system need, and nothing about models. */
function inherited(): Record<string, string> {
  const kept = ["PATH", "HOME", "TMPDIR", "SystemRoot", "BITNET_CORE", "BITNET_ISA"];
  return Object.fromEntries(
    kept
      .flatMap((name) => [[name, process.env[name]]])
      .filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}
