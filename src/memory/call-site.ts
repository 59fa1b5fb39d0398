/** The line of JavaScript that asked for a block, outside of this folder. */
import { relative } from "node:path";

/** Native labels hold 200 bytes; the end of a path says more than its beginning. */
const lengthMax = 190;

/** `app/load.ts:12:7 read`, from the working directory; empty where the stack has no such line. */
export function callSite(): string {
  const lines = new Error().stack?.split("\n") ?? [];
  for (const line of lines) {
    const [, name = "", path = "", place = ""] = framePattern.exec(line) ?? [];
    if (path === "" || path === "native" || path.startsWith(import.meta.dir)) continue;
    const shown = path.startsWith("/") ? relative(process.cwd(), path) : path;
    const site = name === "" ? `${shown}${place}` : `${shown}${place} ${name}`;
    return new TextEncoder().encode(site).byteLength > lengthMax ? site.slice(-60) : site;
  }
  return "";
}

/** `    at name (path:line:column)` or `    at path:line:column`. */
const framePattern = /^\s*at (?:(?:async )?(.*?) \()?([^()]*?)(:\d+:\d+)\)?$/;
