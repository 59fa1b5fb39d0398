/**
 * Where the messages of a chat come from: a terminal with line editing and history, or the lines
 * of a pipe.
 */
import { createInterface } from "node:readline";

/** A line, Ctrl-C in place of one, or the end of the input. */
export type Message = { kind: "line"; text: string } | { kind: "interrupt" } | { kind: "end" };

/** Messages one at a time. */
export interface MessageSource extends Disposable {
  /** Whether a person types them. */
  readonly isTerminal: boolean;
  next(): Promise<Message>;
}

/** Messages from standard input. */
export function openMessageSource(): MessageSource {
  return process.stdin.isTTY && process.stderr.isTTY ? new TerminalSource() : new PipeSource();
}

const historyMax = 500;

/**
 * Line editing lasts for one line: between lines the terminal is as it was, so that Ctrl-C
 * during an answer is a signal. The prompt goes to standard error; standard output has answers.
 */
class TerminalSource implements MessageSource {
  readonly isTerminal = true;
  readonly #pasted: string[] = [];
  #history: string[] = [];
  /** What was typed and not ended when the line before it was taken. */
  #draft = "";
  #close: (() => void) | undefined;

  async next(): Promise<Message> {
    const text = this.#pasted.shift();
    return text === undefined ? this.#ask() : { kind: "line", text };
  }

  [Symbol.dispose](): void {
    this.#close?.();
  }

  #ask(): Promise<Message> {
    const editor = createInterface({
      input: process.stdin,
      output: process.stderr,
      prompt: "> ",
      terminal: true,
      history: [...this.#history],
      historySize: historyMax,
      removeHistoryDuplicates: true,
    });
    this.#close = () => editor.close();
    return new Promise<Message>((resolve) => {
      const finish = (message: Message): void => {
        resolve(message);
        editor.close();
      };
      const lines: string[] = [];
      editor.on("history", (history: string[]) => {
        this.#history = [...history];
      });
      // What is pasted comes as several lines at once: the others wait for their turn.
      editor.on("line", (text) => {
        if (lines.push(text) > 1) return;
        setImmediate(() => {
          this.#pasted.push(...lines.slice(1));
          this.#draft = editor.line;
          finish({ kind: "line", text });
        });
      });
      editor.on("SIGINT", () => {
        process.stderr.write("\n");
        finish(editor.line === "" ? { kind: "interrupt" } : { kind: "line", text: "" });
      });
      editor.on("close", () => resolve({ kind: "end" }));
      editor.prompt();
      editor.write(this.#draft);
      this.#draft = "";
    });
  }
}

class PipeSource implements MessageSource {
  readonly isTerminal = false;
  readonly #reader = createInterface({ input: process.stdin, terminal: false });
  readonly #lines = this.#reader[Symbol.asyncIterator]();

  async next(): Promise<Message> {
    const { done, value } = await this.#lines.next();
    return done === true ? { kind: "end" } : { kind: "line", text: value };
  }

  [Symbol.dispose](): void {
    this.#reader.close();
  }
}
