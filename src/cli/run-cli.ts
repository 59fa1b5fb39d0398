/**
 * From arguments to exit code: finds the command, runs it until it ends or a signal comes, and
 * turns errors into sentences. 0 is success, 1 a failure, 2 a call that makes no sense,
 * 128 + n the end by signal n.
 */
import { BitNetError } from "../errors/index.ts";
import { commands } from "./commands.ts";
import { didYouMean } from "./did-you-mean.ts";
import { commandHelp, overviewHelp, version } from "./help.ts";
import { interruptible } from "./interruptible.ts";
import { endLine, OutputClosed, printJson, printLine, tell } from "./output.ts";

/** Runs `bitnet` with these arguments; never throws. */
export async function runCli(rawArgs: readonly string[]): Promise<number> {
  try {
    return await interruptible((signal) => dispatch(rawArgs, signal));
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    return report(error, wantsFlag(rawArgs, ["--json"])).catch(() => 1);
  }
}

async function dispatch(rawArgs: readonly string[], signal: AbortSignal): Promise<number> {
  const [first, ...rest] = rawArgs;
  if (first === undefined || first === "--help" || first === "-h") return show(overviewHelp());
  if (first === "--version" || first === "-v") return show(version);
  if (first === "help") return help(rest[0]);
  const command = await load(first);
  if (wantsFlag(rest, ["--help", "-h"])) return show(commandHelp(command));
  return command.run(rest, signal);
}

async function help(name: string | undefined): Promise<number> {
  return show(name === undefined ? overviewHelp() : commandHelp(await load(name)));
}

function load(name: string) {
  if (Object.hasOwn(commands, name)) return commands[name]!.load();
  const isOption = name.startsWith("-");
  throw new BitNetError(
    isOption ? "cli/unknown-option" : "cli/unknown-command",
    `unknown ${isOption ? "option" : "command"} ${name}` +
      `${didYouMean(name, isOption ? ["--help", "--version"] : Object.keys(commands))}; ` +
      "`bitnet --help` lists the commands",
  );
}

/** Whether one of the flags stands before `--`. */
function wantsFlag(rawArgs: readonly string[], flags: readonly string[]): boolean {
  const end = rawArgs.indexOf("--");
  const own = end < 0 ? rawArgs : rawArgs.slice(0, end);
  return own.some((one) => flags.includes(one));
}

async function show(text: string): Promise<number> {
  await printLine(text);
  return 0;
}

async function report(error: unknown, isJson: boolean): Promise<number> {
  await endLine();
  const code = error instanceof BitNetError ? error.code : "cli/internal";
  const message = error instanceof Error ? error.message : String(error);
  if (isJson) await printJson({ error: { code, message } });
  tell(`error: ${message}`);
  tell(`code: ${code}`);
  if (process.env.BITNET_DEBUG) tell(error instanceof Error ? (error.stack ?? "") : "");
  else if (code === "cli/internal") tell("hint: BITNET_DEBUG=1 shows where; please report it");
  return code.startsWith("cli/") && code !== "cli/internal" ? 2 : 1;
}
