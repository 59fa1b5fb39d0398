/** Reads and changes single fields of a Program blob, by table and row. */
import {
  DimLayout,
  FeedbackLayout,
  HeaderLayout,
  InstrLayout,
  RegionLayout,
  SlotLayout,
  type StructLayout,
  SymLayout,
} from "../../src/native/index.ts";

const word = (type: string): StructLayout => ({
  size: type === "i64" ? 8 : 4,
  fields: { value: [0, type] },
});

/** The tables in the order of the blob, with the header's count of their rows. */
const tables = {
  region: { layout: RegionLayout, count: "region_count" },
  stride: { layout: word("i64"), count: "stride_count" },
  slot: { layout: SlotLayout, count: "slot_count" },
  sym: { layout: SymLayout, count: "sym_count" },
  dim: { layout: DimLayout, count: "dim_count" },
  operand: { layout: word("u32"), count: "operand_count" },
  attr: { layout: word("u32"), count: "attr_count" },
  instr: { layout: InstrLayout, count: "instr_count" },
  feedback: { layout: FeedbackLayout, count: "feedback_count" },
} as const satisfies Record<string, { layout: StructLayout; count: string }>;

export type TableName = keyof typeof tables;
export const tableNames = Object.keys(tables) as TableName[];

/** Where a number lies in the blob. */
export interface Place {
  offset: number;
  word: string;
}

export class BlobEditor {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /** Works on a copy. */
  constructor(blob: Uint8Array) {
    this.bytes = new Uint8Array(blob);
    this.#view = new DataView(this.bytes.buffer);
  }

  count(name: TableName): number {
    return this.read(header(tables[name].count));
  }

  get(name: TableName, row: number, field = "value"): number {
    return this.read(this.place(name, row, field));
  }

  set(name: TableName, row: number, changes: Record<string, number | bigint>): this {
    for (const [field, value] of Object.entries(changes)) {
      this.write(this.place(name, row, field), value);
    }
    return this;
  }

  setHeader(field: string, value: number): this {
    return this.write(header(field), value);
  }

  place(name: TableName, row: number, field = "value"): Place {
    let offset: number = HeaderLayout.size;
    for (const other of tableNames) {
      if (other === name) break;
      offset += this.count(other) * tables[other].layout.size;
    }
    const { size, fields } = tables[name].layout as StructLayout;
    const [at, type] = fields[field]!;
    return { offset: offset + row * size + at, word: type };
  }

  /** Every number of the blob, the header's counts included. */
  places(): Place[] {
    const places = Object.keys(HeaderLayout.fields).map(header);
    for (const name of tableNames) {
      const fields = Object.keys(tables[name].layout.fields);
      for (let row = 0; row < this.count(name); row += 1) {
        for (const field of fields) places.push(this.place(name, row, field));
      }
    }
    return places;
  }

  read({ offset, word: type }: Place): number {
    if (type === "u8") return this.#view.getUint8(offset);
    if (type === "u16") return this.#view.getUint16(offset, true);
    if (type === "u32") return this.#view.getUint32(offset, true);
    return Number(this.#view.getBigInt64(offset, true));
  }

  /** Writes as many low bits as the word has. */
  write({ offset, word: type }: Place, value: number | bigint): this {
    const bits = BigInt(value);
    if (type === "u8") this.#view.setUint8(offset, Number(BigInt.asUintN(8, bits)));
    else if (type === "u16") this.#view.setUint16(offset, Number(BigInt.asUintN(16, bits)), true);
    else if (type === "u32") this.#view.setUint32(offset, Number(BigInt.asUintN(32, bits)), true);
    else this.#view.setBigInt64(offset, BigInt.asIntN(64, bits), true);
    return this;
  }
}

function header(field: string): Place {
  const [offset, type] = (HeaderLayout as StructLayout).fields[field]!;
  return { offset, word: type };
}
