/**
 * `bitnet chat`: messages in, answers out, until /exit. Ctrl-C stops the answer and not the
 * program; at an empty prompt, twice in a row, it ends the program.
 */
import { BitNetError } from "../errors/index.ts";
import { defineCliCommand } from "./command.ts";
import { type Conversation, startConversation } from "./conversation.ts";
import { bundledModel } from "./environment.ts";
import { interceptInterrupts } from "./interruptible.ts";
import { type MessageSource, openMessageSource } from "./message-source.ts";
import { loadingArgs, openingOptions, samplingArgs, samplingOptions } from "./model-arguments.ts";
import { openModel } from "./open-model.ts";
import { endLine, printGenerated, tell } from "./output.ts";
import { speedLine } from "./speed-line.ts";

const commandsHelp = [
  "/reset  forget what was said",
  "/help   print this",
  "/exit   leave, as Ctrl-D does; Ctrl-C stops an answer",
];

/** `bitnet chat [model]`. */
export const chatCommand = defineCliCommand({
  name: "chat",
  description: "Talks with a model in the terminal, or answers the lines of a pipe.",
  args: {
    model: {
      type: "positional",
      required: false,
      description: `A bundled name, a folder, a .gguf file or owner/name [${bundledModel}]`,
    },
    system: { type: "string", valueHint: "text", description: "How the model is to answer" },
    ...samplingArgs,
    ...loadingArgs,
    speed: { type: "boolean", description: "Print the speed after each answer" },
  },
  examples: [
    ["bitnet chat microsoft/bitnet-b1.58-2B-4T", "pulls it first where needed"],
    ['bitnet chat ./my-model --system "You are brief."', "with a system message"],
    ["printf 'Hello\\nWhy?\\n' | bitnet chat ./my-model", "each line is a message"],
  ],
  notes: [
    "A model without a chat template, as the bundled one, knows no questions and answers: it",
    "writes on from all that was said so far.",
    ...commandsHelp,
  ],
  async run({ args, valuesOf, signal }) {
    const options = { ...samplingOptions(args, valuesOf("stop")), system: args.system };
    const opening = openingOptions(args, signal);
    await using model = await openModel(args.model ?? bundledModel, opening);
    const conversation = startConversation(model, options);
    using source = openMessageSource();
    if (args.quiet !== true) greet(model.info.name, conversation, source);
    return await new Repl(conversation, { source, signal, showSpeed: args.speed === true }).run();
  },
});

function greet(name: string, { hasTemplate }: Conversation, { isTerminal }: MessageSource): void {
  if (!hasTemplate) {
    tell(`${name} has no chat template: it writes on from your words instead of answering them`);
  }
  if (isTerminal) tell("/help lists what you can do besides talking");
}

interface ReplOptions {
  source: MessageSource;
  signal: AbortSignal;
  showSpeed: boolean;
}

class Repl {
  readonly #conversation: Conversation;
  readonly #options: ReplOptions;
  #wasInterrupted = false;

  constructor(conversation: Conversation, options: ReplOptions) {
    this.#conversation = conversation;
    this.#options = options;
  }

  async run(): Promise<number> {
    const { source, signal } = this.#options;
    const aborted = new Promise<{ kind: "end" }>((resolve) => {
      signal.addEventListener("abort", () => resolve({ kind: "end" }), { once: true });
    });
    while (!signal.aborted) {
      const message = await Promise.race([source.next(), aborted]);
      if (message.kind === "end") break;
      if (message.kind === "interrupt") {
        if (this.#wasInterrupted) return 130;
        this.#wasInterrupted = true;
        tell("Ctrl-C again, or /exit, to leave");
        continue;
      }
      this.#wasInterrupted = false;
      if (!(await this.#take(message.text.trim()))) break;
    }
    return 0;
  }

  /** False when the person wants to leave. */
  async #take(text: string): Promise<boolean> {
    if (text === "/exit" || text === "/quit") return false;
    if (text === "/help") for (const line of commandsHelp) tell(line);
    else if (text === "/reset") this.#conversation.reset();
    else if (/^\/\w+$/.test(text)) tell(`unknown command ${text}; /help lists the commands`);
    else if (text !== "") await this.#answer(text);
    return true;
  }

  /** Failures of one answer are told, and the conversation goes on where a person types. */
  async #answer(text: string): Promise<void> {
    const { source, signal, showSpeed } = this.#options;
    const stop = new AbortController();
    using _ = interceptInterrupts(() => stop.abort());
    try {
      const answer = this.#conversation.send(text, {
        signal: AbortSignal.any([signal, stop.signal]),
      });
      for await (const piece of answer) await printGenerated(piece.text);
      await endLine();
      if (showSpeed) tell(speedLine(answer.stats));
    } catch (error) {
      if (!source.isTerminal || !(error instanceof BitNetError)) throw error;
      await endLine();
      tell(`error: ${error.message}`);
      tell(`code: ${error.code}; /reset begins anew`);
    }
  }
}
