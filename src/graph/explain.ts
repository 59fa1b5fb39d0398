/** A planned Program in words: its instructions, one a line, and the memory that it needs. */
import { formatBytes } from "../memory/index.ts";
import { chainSteps } from "./chain.ts";
import type { ProgramPlan } from "./compile.ts";
import type { ProgramMemory } from "./memory.ts";
import type { Node, Storage, Value } from "./value.ts";

/**
 * The instructions with their operands; `|` marks a barrier, `1` one worker, `*` all. Of a chain
 * x0 is the first operand. The last line tells the memory.
 */
export function explainPlan(plan: ProgramPlan): string {
  const names = new Map<Storage, string>();
  const taken = new Set<string>();
  for (const storage of plan.storages) {
    let name = storage.name;
    for (let index = 1; taken.has(name); index += 1) name = `${storage.name} ${index}`;
    taken.add(name);
    names.set(storage, name);
  }
  let count = 0;
  const nameOf = (value: Value): string => {
    const { storage } = value;
    let name = names.get(storage);
    if (!name) {
      name = `%${count++}`;
      names.set(storage, name);
    }
    return `${name}:${value}`;
  };
  const lines = plan.steps.map(({ node, barrier, serial }, index) => {
    const marks = `${barrier ? "|" : " "}${serial ? "1" : "*"}`;
    const made = node.outputs.map(nameOf).join(", ");
    const operands = node.inputs.map(nameOf).join(", ");
    const number = String(index).padStart(4);
    return `${number} ${marks} ${made} = ${node.op}(${operands})${stepsOf(node)}`;
  });
  return [...lines, formatMemory(plan.memory)].join("\n");
}

/** What a chain does: `; r0 = mul(x0, x1); r0 = add(r0, x2)`. */
function stepsOf({ op, attrs }: Node): string {
  if (op !== "elementwise_chain") return "";
  return chainSteps(attrs)
    .map(({ op: step, operands, to }) => `; ${to} = ${step}(${operands.join(", ")})`)
    .join("");
}

function formatMemory({ arena, values, ...others }: ProgramMemory): string {
  const regions = Object.entries(others)
    .filter(([, size]) => size > 0)
    .map(([name, size]) => `, ${name} ${formatBytes(size)}`);
  return `memory: arena ${formatBytes(arena)} for values of ${formatBytes(values)}${regions.join("")}`;
}
