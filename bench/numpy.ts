/**
 * NumPy beside ours, in the same run: a child process that times one call whenever it is asked.
 * Its virtual environment is made once, in the user's cache folder, when Python and PyPI can be
 * reached; without them a bench measures ours alone. Imported by the benches; runs nothing.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const version = "2.4.6";
const folder = join(homedir(), ".cache", "bitnet-bun", `numpy-${version}`);

/** OpenBLAS's threads spin for a tenth of a second after a call, and longer on busy machines. */
const spinMs = 200;

type Child = Bun.Subprocess<"pipe", "pipe", "ignore">;

interface Started {
  lines: AsyncGenerator<string>;
  threads: number;
  version: string;
}

export class NumPy implements Disposable {
  readonly version: string;
  readonly #child: Child;
  readonly #lines: AsyncGenerator<string>;
  readonly #threads: number;

  private constructor(child: Child, started: Started) {
    this.#child = child;
    this.#lines = started.lines;
    this.#threads = started.threads;
    this.version = started.version;
  }

  /** NumPy with so many threads of its BLAS, or null with a reason on standard error. */
  static async start(threads: number): Promise<NumPy | null> {
    const python = environment();
    if (python === null) {
      console.error("no NumPy: Python with PyPI in reach is wanted for the comparison");
      return null;
    }
    const child = Bun.spawn([python, join(import.meta.dir, "numpy-timer.py")], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      env: { OPENBLAS_NUM_THREADS: String(threads) },
    });
    const lines = linesOf(child.stdout);
    const first = await lines.next();
    return first.done ? null : new NumPy(child, { lines, threads, version: first.value });
  }

  /**
   * Milliseconds of a call, the median of `calls` after one that does not count; `name` is one of
   * numpy-timer.py's cases. Returns when OpenBLAS's threads, which spin for a while, are asleep.
   */
  async time(name: string, { size, calls }: { size: number; calls: number }): Promise<number> {
    this.#child.stdin.write(`${name} ${size} ${calls}\n`);
    this.#child.stdin.flush();
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`NumPy ended while it was asked for ${name} of ${size}`);
    if (this.#threads > 1) await Bun.sleep(spinMs);
    return Number(value);
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

/** The environment's Python, made when it is missing. */
function environment(): string | null {
  const python = join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  if (existsSync(join(folder, "complete"))) return python;
  const system = Bun.which("python3") ?? Bun.which("python");
  if (system === null) return null;
  mkdirSync(folder, { recursive: true });
  const steps = [
    [system, "-m", "venv", folder],
    [python, "-m", "pip", "install", "--quiet", `numpy==${version}`],
  ];
  for (const step of steps) {
    const { exitCode } = Bun.spawnSync(step, { stdout: "ignore", stderr: "ignore" });
    if (exitCode === 0) continue;
    rmSync(folder, { recursive: true, force: true });
    return null;
  }
  mkdirSync(join(folder, "complete"));
  return python;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop()!;
    yield* lines;
  }
}
