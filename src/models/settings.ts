/**
 * Reading a configuration that someone else wrote: each value by name, checked for type and range,
 * with an error that names the file and the key.
 */
import { BitNetError } from "../errors/index.ts";

/** More of anything than this is a broken file, not a model. */
const sizeMax = 1 << 24;

export class Settings {
  constructor(
    readonly path: string,
    readonly values: Readonly<Record<string, unknown>>,
  ) {}

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  /** A whole number from 1. @throws BitNetError `models/bad-config` */
  size(key: string, fallback?: number): number {
    const value = this.#value(key, fallback);
    if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > sizeMax) {
      throw this.#refuse(key, `a whole number from 1 to ${sizeMax}`, value);
    }
    return value as number;
  }

  /** A finite number above 0. @throws BitNetError `models/bad-config` */
  positive(key: string, fallback?: number): number {
    const value = this.#value(key, fallback);
    if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
      throw this.#refuse(key, "a number above 0", value);
    }
    return value;
  }

  text(key: string, fallback?: string): string {
    const value = this.#value(key, fallback);
    if (typeof value !== "string") throw this.#refuse(key, "a text", value);
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#value(key, fallback);
    if (typeof value !== "boolean") throw this.#refuse(key, "true or false", value);
    return value;
  }

  /** A group of settings, empty where there is none. */
  group(key: string): Settings {
    const value = this.values[key] ?? {};
    if (typeof value !== "object" || Array.isArray(value)) {
      throw this.#refuse(key, "an object", value);
    }
    return new Settings(`${this.path}: ${key}`, value as Record<string, unknown>);
  }

  #value(key: string, fallback: unknown): unknown {
    return this.has(key) ? this.values[key] : fallback;
  }

  #refuse(key: string, wanted: string, value: unknown): BitNetError {
    return new BitNetError(
      "models/bad-config",
      `${this.path}: ${key}: want ${wanted}, got ${brief(value)}`,
    );
  }
}

const briefMax = 100;

/** A value of a file as a message shows it: never long, whatever the file holds. */
export function brief(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) {
    const shown = value.slice(0, 4).map((one) => (typeof one === "object" ? "..." : brief(one)));
    return `[${shown.join(", ")}${value.length > shown.length ? ", ..." : ""}]`;
  }
  if (typeof value === "object" && value !== null) return "a group of values";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > briefMax ? `${text.slice(0, briefMax)}...` : text;
}
