/**
 * One wording for refused options and configuration values: the name, what is allowed, what came.
 */
import { BitNetError } from "../errors/index.ts";

/** @throws BitNetError `generate/invalid-option`, always. */
export function refuseOption(name: string, allowed: string, got: unknown): never {
  throw new BitNetError(
    "generate/invalid-option",
    `option ${name}: expected ${allowed}, got ${describe(got)}`,
  );
}

/** @throws BitNetError `generate/invalid-config`, always. */
export function refuseConfig(place: string, allowed: string, got: unknown): never {
  throw new BitNetError(
    "generate/invalid-config",
    `${place}: expected ${allowed}, got ${describe(got)}; correct or remove it`,
  );
}

const valueCharsMax = 80;

/** A value as a person would write it, with its length bounded. */
function describe(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "a list" : "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length <= valueCharsMax ? text : `${text.slice(0, valueCharsMax)}... (cut)`;
}
