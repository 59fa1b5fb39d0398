/** The commands of `bitnet`, each loaded when it is asked for: a story starts without the rest. */
import type { CliCommand } from "./command.ts";

/** What the overview of the commands tells, and where the command is. */
export interface CommandEntry {
  readonly summary: string;
  load(): Promise<CliCommand>;
}

/** In the order of the help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  run: {
    summary: "Let a model write: a story, or on from your words",
    load: async () => (await import("./run.ts")).runCommand,
  },
  chat: {
    summary: "Talk with a model in the terminal",
    load: async () => (await import("./chat.ts")).chatCommand,
  },
  pull: {
    summary: "Bring a model from the Hugging Face hub",
    load: async () => (await import("./pull.ts")).pullCommand,
  },
  list: {
    summary: "List the models on this machine",
    load: async () => (await import("./list.ts")).listCommand,
  },
  rm: {
    summary: "Remove a pulled model",
    load: async () => (await import("./rm.ts")).rmCommand,
  },
  inspect: {
    summary: "Show what a model is made of, without loading it",
    load: async () => (await import("./inspect.ts")).inspectCommand,
  },
  bench: {
    summary: "Measure how fast a model runs here",
    load: async () => (await import("./bench.ts")).benchCommand,
  },
  convert: {
    summary: "Write a model in another format",
    load: async () => (await import("./convert.ts")).convertCommand,
  },
  doctor: {
    summary: "Check that everything works here, with the remedy where not",
    load: async () => (await import("./doctor.ts")).doctorCommand,
  },
};
