/**
 * Chains of elementwise instructions as one, `elementwise_chain`: its steps, each in a word of the
 * attributes. A step reads inputs and registers and leaves its result in a register; the last one's
 * is the output.
 */
import {
  ChainOp,
  type ChainOpName,
  ChainShift,
  chainInputMax,
  chainRegisterMax,
  chainStepMax,
  DType,
  type DTypeName,
  type OpName,
} from "../native/index.ts";
import { type Attrs, type Node, type Storage, sameView, type Value } from "./value.ts";

const chainOps = Object.keys(ChainOp) as ChainOpName[];
const dtypes = Object.keys(DType) as DTypeName[];
/** Attributes that hold a step each. */
const stepNames = Array.from({ length: chainStepMax }, (_, index) => `step_${index}`);

/** Whether an op may be a step. */
export function isChainOp(op: OpName): op is ChainOpName {
  return Object.hasOwn(ChainOp, op);
}

/** One step, before it has a register: operands are inputs, or earlier steps. */
interface Step {
  op: ChainOpName;
  operands: readonly Source[];
  dtype: DTypeName;
}

type Source = { input: number } | { step: number };

/**
 * The members, in order, as one instruction that reads what they read of others and makes what the
 * last one makes; null where they need more inputs, steps or registers than there are. Every member
 * but the last is read by members alone, each as a whole.
 */
export function chainOf(members: readonly Node[]): Node | null {
  const outputs = members.at(-1)!.outputs;
  const { inputs, steps } = stepsOf(members, outputs[0]!);
  const [only] = steps;
  if (steps.length < 2) {
    const operands = only
      ? only.operands.map((of) => inputs[(of as { input: number }).input]!)
      : inputs;
    return { op: only?.op ?? "copy", inputs: operands, outputs, attrs: {}, commit: false };
  }
  if (inputs.length > chainInputMax || steps.length > chainStepMax) return null;
  const registers = registersOf(steps);
  if (!registers) return null;
  const attrs: Record<string, number> = { count: steps.length };
  for (const [index, name] of stepNames.entries()) {
    const step = steps[index];
    attrs[name] = step ? wordOf(step, registers[index]!, registers) : 0;
  }
  return { op: "elementwise_chain", inputs, outputs, attrs, commit: false };
}

function stepsOf(members: readonly Node[], output: Value): { inputs: Value[]; steps: Step[] } {
  const inputs: Value[] = [];
  const steps: Step[] = [];
  const made = new Map<Storage, Source>();
  const sourceOf = (value: Value): Source => {
    const own = made.get(value.storage);
    if (own) return own;
    let index = inputs.findIndex((known) => sameView(known, value));
    // In place, input and output are one operand.
    if (index < 0) index = inputs.push(sameView(value, output) ? output : value) - 1;
    return { input: index };
  };
  for (const node of members) {
    const operands = node.inputs.map(sourceOf);
    const { dtype, storage } = node.outputs[0]!;
    if (node.op === "copy" && node.inputs[0]!.dtype === dtype) {
      made.set(storage, operands[0]!);
      continue;
    }
    made.set(storage, { step: steps.length });
    steps.push({ op: node.op as ChainOpName, operands, dtype });
  }
  return { inputs, steps };
}

/** A register for each step's result, free after its last reader; null where all are taken. */
function registersOf(steps: readonly Step[]): number[] | null {
  const lastReader = new Map<number, number>();
  steps.forEach(({ operands }, index) => {
    for (const of of operands) if ("step" in of) lastReader.set(of.step, index);
  });
  const free = Array.from({ length: chainRegisterMax }, (_, register) => register);
  const registers: number[] = [];
  for (const [index, { operands, dtype }] of steps.entries()) {
    const read = new Set(operands.flatMap((of) => ("step" in of ? [of.step] : [])));
    const over = [...read].filter((step) => lastReader.get(step) === index);
    const taken = over.find((step) => steps[step]!.dtype === dtype);
    const register = taken === undefined ? free.shift() : registers[taken];
    if (register === undefined) return null;
    for (const step of over) if (step !== taken) free.unshift(registers[step]!);
    registers.push(register);
  }
  return registers;
}

function wordOf({ op, operands, dtype }: Step, to: number, registers: readonly number[]): number {
  const places = operands.map((of) =>
    "input" in of ? of.input : chainInputMax + registers[of.step]!,
  );
  const [a = 0, b = 0, c = 0] = places;
  return (
    ChainOp[op] |
    (a << ChainShift.a) |
    (b << ChainShift.b) |
    (c << ChainShift.c) |
    (to << ChainShift.to) |
    (DType[dtype] << ChainShift.dtype)
  );
}

/** A step as it is told to people: inputs as x0, x1, ..., registers as r0, r1, ... */
export interface ChainStep {
  op: ChainOpName;
  operands: string[];
  to: string;
  dtype: DTypeName;
}

/** The steps of an `elementwise_chain`. */
export function chainSteps(attrs: Attrs): ChainStep[] {
  return Array.from({ length: Number(attrs.count) }, (_, index) => {
    const word = Number(attrs[stepNames[index]!]);
    const op = opOf(word);
    const places = [ChainShift.a, ChainShift.b, ChainShift.c].map((shift) => (word >> shift) & 15);
    const operands = places.slice(0, operandCount(op)).map(nameOf);
    const to = nameOf(chainInputMax + ((word >> ChainShift.to) & 15));
    return { op, operands, to, dtype: dtypes[(word >> ChainShift.dtype) & 15]! };
  });
}

/** What the steps of an `elementwise_chain` do, in order. */
export function chainStepOps(attrs: Attrs): ChainOpName[] {
  return stepNames.slice(0, Number(attrs.count)).map((name) => opOf(Number(attrs[name])));
}

function opOf(word: number): ChainOpName {
  return chainOps[word & 0xff]!;
}

function operandCount(op: ChainOpName): number {
  if (op === "select") return 3;
  return ChainOp[op] <= ChainOp.less_equal ? 2 : 1;
}

function nameOf(place: number): string {
  return place < chainInputMax ? `x${place}` : `r${place - chainInputMax}`;
}
