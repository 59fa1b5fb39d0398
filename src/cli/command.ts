/**
 * What a command of `bitnet` is: its arguments as citty describes them, examples for its help, and
 * a body that gets them checked and typed.
 */
import { type ArgsDef, type ParsedArgs, parseArgs } from "citty";
import { checkArguments, withoutOptionalValues } from "./arguments.ts";

/** A line of the shell and what it does. */
export type Example = readonly [line: string, meaning: string];

/** What a command is made of. */
export interface CommandSource<T extends ArgsDef> {
  name: string;
  description: string;
  args: T;
  examples: readonly Example[];
  /** Sentences at the end of the help. */
  notes?: readonly string[];
  /** The words that come after the named positional arguments join the last of them. */
  joinsWords?: boolean;
  run(call: CommandCall<T>): Promise<number>;
}

/** One call of a command. */
export interface CommandCall<T extends ArgsDef> {
  args: ParsedArgs<T>;
  /** Positional arguments in order, without options. */
  words: readonly string[];
  /** Every value of an option that may come more than once. */
  valuesOf(option: keyof T & string): string[];
  /** Aborts on Ctrl-C and the like. */
  signal: AbortSignal;
}

/** A command whose argument types are closed over. */
export interface CliCommand {
  readonly name: string;
  readonly description: string;
  readonly args: ArgsDef;
  readonly examples: readonly Example[];
  readonly notes: readonly string[];
  /** @throws BitNetError of `cli/` for arguments that do not fit; whatever the command throws */
  run(rawArgs: readonly string[], signal: AbortSignal): Promise<number>;
}

/** Makes a command; `run` returns the exit code. */
export function defineCliCommand<const T extends ArgsDef>(source: CommandSource<T>): CliCommand {
  const { name, description, args, examples, notes = [], joinsWords = false } = source;
  return {
    name,
    description,
    args,
    examples,
    notes,
    async run(rawArgs, signal) {
      const { words, values } = checkArguments(rawArgs, { name, args, joinsWords });
      return source.run({
        args: parseArgs<T>(withoutOptionalValues(rawArgs, args), args),
        words,
        valuesOf: (option) => values.get(option) ?? [],
        signal,
      });
    },
  };
}
