/**
 * The alphabet of byte-level vocabularies: every byte as one visible character. Printable bytes
 * stand for themselves, the other 68 for U+0100 and up, in order.
 * Source: encoder.py of openai/gpt-2, `bytes_to_unicode`.
 */

/** The character of each byte. */
export const charOfByte: readonly string[] = buildAlphabet();

const byteOfChar: ReadonlyMap<string, number> = new Map(
  charOfByte.map((char, byte) => [char, byte] as const),
);

const encoder = new TextEncoder();

/** The bytes a token stands for; a token with a character outside the alphabet is plain UTF-8. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let index = 0; index < token.length; index++) {
    const byte = byteOfChar.get(token[index]!);
    if (byte === undefined) return encoder.encode(token);
    bytes[index] = byte;
  }
  return bytes;
}

function buildAlphabet(): string[] {
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : 256 + hidden++),
  );
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}
