/**
 * Bytes to text piece by piece: broken bytes become U+FFFD by the rule of maximal subparts, and
 * a character whose bytes are still arriving is held back.
 */

/** Turns bytes into text; one instance a text. */
export class Utf8Stream {
  #held: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): string {
    const all = this.#held.length === 0 ? bytes : concat(this.#held, bytes);
    const end = all.length - unfinishedBytes(all);
    this.#held = all.slice(end);
    return end === 0 ? "" : utf8.decode(all.subarray(0, end));
  }

  flush(): string {
    const text = utf8.decode(this.#held);
    this.#held = new Uint8Array(0);
    return text;
  }
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** How many bytes at the end begin a character that more bytes may finish: 0 to 3. */
function unfinishedBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const lead = bytes[bytes.length - back]!;
    if ((lead & 0xc0) === 0x80) continue;
    const isOpen =
      sequenceBytes(lead) > back && (back === 1 || secondByteFits(lead, bytes.at(1 - back)!));
    return isOpen ? back : 0;
  }
  return 0;
}

/** The length of the character that `lead` opens; 1 when no longer one can start with it. */
function sequenceBytes(lead: number): number {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 1;
}

/** Rules out overlong forms, surrogates and what lies past U+10FFFF. Unicode 17, table 3-7. */
function secondByteFits(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second <= 0x9f;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second <= 0x8f;
  return true;
}
