/** Writes a planned Program as the core's blob: tables of regions, slots and instructions. */
import {
  Activation,
  type ActivationName,
  abiHash,
  alignedSize,
  blobMagic,
  DimLayout,
  DType,
  encodeStruct,
  FeedbackLayout,
  HeaderLayout,
  InstrFlag,
  InstrLayout,
  Layout,
  noSlot,
  noSym,
  Op,
  opAttrs,
  RegionKind,
  RegionLayout,
  regionAlignment,
  SlotLayout,
  type StructLayout,
  SymLayout,
} from "../native/index.ts";
import type { Dim, Sym } from "./dims.ts";
import type { ArenaPlan, Step } from "./plan.ts";
import type { FeedbackLink } from "./record.ts";
import type { Node, Storage, Value } from "./value.ts";

/** A graph after all passes and plans. Storages follow the arena, region 0, in their order. */
export interface Encodable {
  steps: readonly Step[];
  feedbacks: readonly FeedbackLink[];
  storages: readonly Storage[];
  syms: readonly Sym[];
  arena: ArenaPlan;
}

type Row = Record<string, number>;

class Tables {
  readonly dims: Row[] = [];
  readonly strides: number[] = [];
  readonly slots: Row[] = [];
  readonly operands: number[] = [];
  readonly attrs: number[] = [];
  readonly #slotOf = new Map<Value, number>();
  readonly #regionOf: Map<Storage, number>;

  constructor(readonly source: Encodable) {
    this.#regionOf = new Map(source.storages.map((storage, index) => [storage, index + 1]));
  }

  slot(value: Value): number {
    const known = this.#slotOf.get(value);
    if (known !== undefined) return known;
    const scale = value.rowScale ? this.slot(value.rowScale) : noSlot;
    const dims = this.dims.length;
    for (const dim of value.dims) this.dims.push(this.#dim(dim));
    const strides = this.strides.length;
    if (value.layout === "strided") this.strides.push(...value.strides);
    const base = this.source.arena.offsets.get(value.storage);
    this.slots.push({
      offset: (base ?? 0) + value.offset,
      region: base === undefined ? this.#regionOf.get(value.storage)! : 0,
      dtype: DType[value.dtype],
      layout: Layout[value.layout],
      rank: value.dims.length,
      dims,
      strides,
      row_scale_slot: scale,
    });
    const index = this.slots.length - 1;
    this.#slotOf.set(value, index);
    return index;
  }

  /** The instruction's attribute words; returns the index of the first. */
  attributes(node: Node): number {
    const start = this.attrs.length;
    const fields = (opAttrs as Record<string, readonly (readonly [string, string])[]>)[node.op];
    for (const [name, word] of fields ?? []) {
      const value = node.attrs[name];
      if (value === undefined) throw new Error(`${node.op}: the attribute ${name} is missing`);
      this.attrs.push(attributeWord(value, word));
    }
    return start;
  }

  #dim(dim: Dim): Row {
    if (typeof dim === "number") return { sym: noSym, mul: 0, add: dim };
    return { sym: this.source.syms.indexOf(dim.sym), mul: dim.mul, add: dim.add >>> 0 };
  }
}

/** The blob of a planned Program. */
export function encodeProgram(source: Encodable): Uint8Array {
  const tables = new Tables(source);
  const instrs = source.steps.map((step) => instrRow(step, tables));
  const feedbacks = source.feedbacks.map(({ from, to }) => ({
    from: tables.slot(from),
    to: tables.slot(to),
  }));
  const regions = [
    { kind: RegionKind.arena, alignment: regionAlignment, size_at_max: source.arena.size },
    ...source.storages.map(regionRow),
  ];
  const syms = source.syms.map(({ min, max }) => ({ min, max }));
  const header = {
    magic: blobMagic,
    abi_hash: abiHash,
    region_count: regions.length,
    stride_count: tables.strides.length,
    slot_count: tables.slots.length,
    sym_count: syms.length,
    dim_count: tables.dims.length,
    operand_count: tables.operands.length,
    attr_count: tables.attrs.length,
    instr_count: instrs.length,
    feedback_count: feedbacks.length,
  };
  return join([
    table(HeaderLayout, [header]),
    table(RegionLayout, regions),
    new Uint8Array(BigInt64Array.from(tables.strides, BigInt).buffer),
    table(SlotLayout, tables.slots),
    table(SymLayout, syms),
    table(DimLayout, tables.dims),
    new Uint8Array(Uint32Array.from(tables.operands).buffer),
    new Uint8Array(Uint32Array.from(tables.attrs).buffer),
    table(InstrLayout, instrs),
    table(FeedbackLayout, feedbacks),
  ]);
}

function instrRow({ node, barrier, serial, work }: Step, tables: Tables): Row {
  const slots = [...node.inputs, ...node.outputs].map((value) => tables.slot(value));
  const operands = tables.operands.length;
  tables.operands.push(...slots);
  return {
    op: Op[node.op],
    flags:
      (barrier ? InstrFlag.barrier_before : 0) |
      (serial ? InstrFlag.serial : 0) |
      (node.commit ? InstrFlag.commit : 0),
    input_count: node.inputs.length,
    output_count: node.outputs.length,
    operands,
    attrs: tables.attributes(node),
    predicate_slot: node.predicate ? tables.slot(node.predicate) : noSlot,
    cost: Math.min(0xffff_ffff, Math.ceil(work / 1000)),
  };
}

function regionRow(storage: Storage): Row {
  const { kind, size } = storage;
  const size_at_max = kind === "input" ? alignedSize(size) : size;
  return { kind: RegionKind[kind], alignment: regionAlignment, size_at_max };
}

function attributeWord(value: number | boolean | ActivationName, word: string): number {
  if (typeof value === "string") return Activation[value];
  if (word === "f32") return new Uint32Array(Float32Array.of(Number(value)).buffer)[0]!;
  return Number(value);
}

function table(layout: StructLayout, rows: readonly Row[]): Uint8Array {
  const bytes = new Uint8Array(layout.size * rows.length);
  const view = new DataView(bytes.buffer);
  rows.forEach((row, index) => {
    encodeStruct(layout, row, { view, offset: index * layout.size });
  });
  return bytes;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
