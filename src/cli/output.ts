/**
 * Standard output and standard error of the command. Writing waits for a slow reader, ends quietly
 * with a closed one, and keeps a terminal's state out of a model's reach.
 */

/** Thrown when nobody reads standard output any more: `bitnet run | head -1`. */
export class OutputClosed extends Error {}

let isAtLineStart = true;
let isGuarded = false;

/** Writes to standard output. @throws OutputClosed */
export async function print(text: string): Promise<void> {
  if (text === "") return;
  guard();
  isAtLineStart = text.endsWith("\n");
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error === undefined || error === null) resolve();
      else if ("code" in error && error.code === "EPIPE") reject(new OutputClosed());
      else reject(error);
    });
  });
}

/** Writes a model's text; a terminal gets it without control characters. @throws OutputClosed */
export function printGenerated(text: string): Promise<void> {
  return print(process.stdout.isTTY ? withoutControls(text) : text);
}

/** Writes a line to standard output. @throws OutputClosed */
export function printLine(text = ""): Promise<void> {
  return print(`${text}\n`);
}

/** One JSON value on a line of its own. @throws OutputClosed */
export function printJson(value: unknown): Promise<void> {
  const replacer = (_: string, one: unknown): unknown => (typeof one === "bigint" ? `${one}` : one);
  return printLine(JSON.stringify(value, replacer));
}

/** Ends the line that a story has begun, on the terminal or in the file. */
export async function endLine(): Promise<void> {
  if (!isAtLineStart) await print("\n");
}

/** Writes a line to standard error. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Without what a terminal would obey: all control characters but tab and line feed. */
export function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what goes.
  return text.replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}

/** The callback of `write` gets each error; the stream's own event would end the process. */
function guard(): void {
  if (isGuarded) return;
  isGuarded = true;
  process.stdout.on("error", () => {});
}
