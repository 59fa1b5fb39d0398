/** `bitnet doctor`: whether everything works on this machine, with the remedy where it does not. */
import { defineCliCommand } from "./command.ts";
import { type Finding, findings, machineChecks } from "./doctor-checks.ts";
import { table } from "./format.ts";
import { memoryChecks } from "./memory-checks.ts";
import { printJson, printLine } from "./output.ts";

/** `bitnet doctor`. */
export const doctorCommand = defineCliCommand({
  name: "doctor",
  description: "Checks that everything works here, and says what to do where it does not.",
  args: {
    memory: { type: "boolean", description: "Look at memory instead: the system's, pools, faults" },
    json: { type: "boolean", description: "One JSON object: ok, and checks with their remedies" },
  },
  examples: [
    ["bitnet doctor", "each line ok, warn or fail; exit code 1 where one fails"],
    ["bitnet doctor --memory", "what memory there is, and whether pools work here"],
    ["bitnet doctor --json", "for a report of a fault"],
  ],
  async run({ args, signal }) {
    const checks: Finding[] = [];
    const wanted = args.memory === true ? memoryChecks : machineChecks;
    for await (const finding of findings(wanted, signal)) {
      checks.push(finding);
      if (args.json !== true) await printFinding(finding);
    }
    const ok = checks.every(({ state }) => state !== "fail");
    if (args.json === true) await printJson({ ok, checks });
    else
      await printLine(ok ? "everything a model needs is here" : "something must be mended first");
    return ok ? 0 : 1;
  },
});

async function printFinding({ state, name, text, remedy }: Finding): Promise<void> {
  const [line = ""] = table([[state.padEnd(4), name.padEnd(12), text]]);
  await printLine(line.trimStart());
  if (remedy !== undefined) await printLine(`      remedy: ${remedy}`);
}
