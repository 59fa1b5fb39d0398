/**
 * An engine under measurement, in a process of its own: a line of JSON asks, a line answers. While
 * one engine works the others wait for their next line.
 */
import { createInterface } from "node:readline";

/** What an engine is started with, as its one argument. */
export interface SubjectSetup {
  model: string;
  contextLength: number;
  /** Thread counts it will be asked for; the first is what loading takes. */
  threads: number[];
  /** Where it may keep files for a while. */
  folder: string;
}

/** How an engine is started. */
export interface Engine {
  command: readonly string[];
  env?: Readonly<Record<string, string>>;
}

/** The first line of a subject. */
export interface Loaded {
  /** From the path to a model that takes tokens. */
  loadSeconds: number;
  /** From a prompt of 16 tokens to the first token after it, right after loading. */
  firstTokenSeconds: number;
  /** Bytes that a decoded token at depth 0 reads, where the engine knows. */
  bytesPerToken: number | null;
  /** Peak resident so far. */
  residentBytes: number;
}

/**
 * Tokens a second are asked for; `depth` counts the tokens before a decode. Ours tells what int8
 * arithmetic its level reaches too.
 */
export type Request =
  | { task: "prefill"; threads: number; tokens: number }
  | { task: "decode"; threads: number; tokens: number; depth: number }
  | { task: "int8"; threads: number; seconds: number };

/** Ids of prompts are drawn from this many. */
export const idCount = 500;
/** Tokens of the prompt before the first token. */
export const firstPromptTokens = 16;

export class Subject implements AsyncDisposable {
  readonly loaded: Loaded;
  readonly #child: ReturnType<typeof spawn>;
  readonly #answers: AsyncIterator<string>;

  private constructor(
    child: ReturnType<typeof spawn>,
    answers: AsyncIterator<string>,
    loaded: Loaded,
  ) {
    this.#child = child;
    this.#answers = answers;
    this.loaded = loaded;
  }

  /** Starts an engine and waits until its model is loaded. */
  static async start({ command, env }: Engine, setup: SubjectSetup): Promise<Subject> {
    const child = spawn([...command, JSON.stringify(setup)], env);
    const lines = linesOf(child.stdout);
    return new Subject(child, lines, (await answerOf(lines)) as Loaded);
  }

  /** Tokens, or operations, a second. */
  async measure(request: Request): Promise<number> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    this.#child.stdin.flush();
    const { rate } = (await answerOf(this.#answers)) as { rate: number };
    return rate;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.#child.exited;
  }
}

function spawn(command: string[], env: Engine["env"]) {
  return Bun.spawn(command, {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, ...env },
  });
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

async function answerOf(lines: AsyncIterator<string>): Promise<unknown> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error("an engine ended before its answer");
    // Engines may print of their own accord.
    if (value.startsWith("{")) return JSON.parse(value);
  }
}

/** The requests that come on standard input. */
export async function* requests(): AsyncGenerator<Request> {
  for await (const line of createInterface({ input: process.stdin })) {
    yield JSON.parse(line) as Request;
  }
}

/** Answers with one line. */
export function answer(value: Loaded | { rate: number }): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
