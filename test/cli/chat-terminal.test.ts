/** `bitnet chat` on a terminal: line editing, history, what Ctrl-C does, and what it never does. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const main = join(import.meta.dir, "..", "..", "src", "cli", "main.ts");

/** A person at a terminal: types, and waits for what comes. */
class Person implements Disposable {
  readonly #process;
  readonly #decoder = new TextDecoder();
  #seen = "";

  constructor(args: readonly string[]) {
    this.#process = Bun.spawn([process.execPath, main, ...args], {
      env: { ...process.env, TERM: "xterm", HF_HUB_OFFLINE: "1" },
      terminal: {
        cols: 200,
        rows: 24,
        data: (_, bytes) => {
          this.#seen += this.#decoder.decode(bytes, { stream: true });
        },
      },
    });
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  /** Types, and gives back all that was shown until `wanted` came. */
  async type(keys: string, wanted: string): Promise<string> {
    this.#seen = "";
    this.#process.terminal?.write(keys);
    return this.see(wanted);
  }

  async see(wanted: string): Promise<string> {
    const end = performance.now() + 4_000;
    while (!this.#seen.includes(wanted)) {
      if (performance.now() > end) throw new Error(`no ${wanted} in ${JSON.stringify(this.#seen)}`);
      await Bun.sleep(5);
    }
    return this.#seen;
  }

  [Symbol.dispose](): void {
    this.#process.kill("SIGKILL");
  }
}

const prompt = "> \x1b[3G";
const calm = ["chat", "-q", "--temperature", "0", "-n", "4", "--ignore-eos"];

test.skipIf(process.platform === "win32")(
  "a line is edited, answered, and remembered",
  async () => {
    using person = new Person(calm);
    await person.see(prompt);
    await person.type("The wolg\x7ff said\r", prompt);
    expect(await person.type("/help\r", prompt)).toContain("/reset  forget");
    await person.type("\x1b[A\x1b[A", "The wolf said");
    await person.type("\x03", prompt);
    await person.type("\x04", "");
    expect(await person.exited).toBe(0);
  },
);

test.skipIf(process.platform === "win32")(
  "Ctrl-C stops the answer; twice at the prompt it leaves",
  async () => {
    using person = new Person([...calm, "-n", "1000000"]);
    await person.see(prompt);
    await person.type("The wolf said\r", "said\r\r\n");
    await Bun.sleep(100);
    expect(await person.type("\x03", prompt)).not.toContain("again");
    await person.type("\x03", "Ctrl-C again");
    await person.see(`leave\r\n\x1b[1G\x1b[0J${prompt}`);
    await person.type("\x03", "");
    expect(await person.exited).toBe(130);
  },
);
