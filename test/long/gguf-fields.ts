/**
 * Where the numbers of a sound GGUF header lie: counts, lengths, types, dimensions, offsets and
 * scalar values, so that a mutation can aim at them. Elements of number arrays are passed over.
 */
import type { Field } from "../checkpoint/build-gguf.ts";

/** Bytes of a value by type id; texts (8) and arrays (9) have lengths of their own. */
const valueBytes: Record<number, 1 | 2 | 4 | 8> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

/** Texts of a long list whose lengths are worth aiming at. */
const listedTextsMax = 4;

export function ggufFields(bytes: Uint8Array<ArrayBuffer>): Field[] {
  const walker = new Walker(bytes);
  walker.u32("magic");
  walker.u32("version");
  const tensorCount = walker.u64("count");
  const keyCount = walker.u64("count");
  for (let key = 0; key < keyCount; key += 1) {
    walker.text(true);
    walker.value(walker.u32("type"));
  }
  for (let tensor = 0; tensor < tensorCount; tensor += 1) {
    walker.text(true);
    const dimensions = walker.u32("count");
    for (let axis = 0; axis < dimensions; axis += 1) walker.u64("dimension");
    walker.u32("type");
    walker.u64("offset");
  }
  return walker.fields;
}

class Walker {
  readonly fields: Field[] = [];
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#view = new DataView(bytes.buffer);
  }

  u32(kind: Field["kind"]): number {
    return this.#view.getUint32(this.#take(kind, 4), true);
  }

  u64(kind: Field["kind"]): number {
    return Number(this.#view.getBigUint64(this.#take(kind, 8), true));
  }

  text(isListed: boolean): void {
    const at = this.#at;
    this.#at += 8 + Number(this.#view.getBigUint64(at, true));
    if (isListed) this.fields.push({ kind: "length", offset: at, bytes: 8 });
  }

  value(type: number): void {
    const size = valueBytes[type];
    if (type === 8) this.text(true);
    else if (type === 9) this.#array();
    else if (size === 2) this.#at += 2;
    else this.#take("value", size!);
  }

  #array(): void {
    const type = this.u32("type");
    const count = this.u64("count");
    if (type !== 8) {
      this.#at += count * valueBytes[type]!;
      return;
    }
    for (let text = 0; text < count; text += 1) this.text(text < listedTextsMax);
  }

  #take(kind: Field["kind"], bytes: 1 | 4 | 8): number {
    const offset = this.#at;
    this.fields.push({ kind, offset, bytes });
    this.#at += bytes;
    return offset;
  }
}
