/**
 * Where the native core lies: a path given by the environment, a file embedded in a compiled
 * binary, the platform's package, or the checkout's own build, in this order.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BitNetError } from "../errors/index.ts";

let embedded: string | undefined;

/** Makes `path` the core of this process: what a compiled binary does with its embedded file. */
export function useEmbeddedCore(path: string): void {
  embedded = path;
}

/**
 * The path of the core's shared library.
 * @throws BitNetError `native/core-missing` with the remedy when there is none.
 */
export function locateCore(): string {
  const given = process.env.BITNET_CORE;
  if (given) {
    if (existsSync(given)) return given;
    throw new BitNetError("native/core-missing", `BITNET_CORE names ${given}, which is not there`);
  }
  return embedded ?? packagedCore() ?? builtCore();
}

/**
 * The core in the optional package of this system, where one is installed. The names are written
 * out, one branch a system: a bundler embeds the library of the system it compiles for. They stand
 * inside the `try` because a bundler takes only there that a package is not installed.
 */
function packagedCore(): string | undefined {
  const arm = process.arch === "arm64";
  let found: { default: string } | undefined;
  try {
    if (process.platform === "linux") {
      found = arm ? require("bitnet-bun-linux-arm64") : require("bitnet-bun-linux-x64");
    } else if (process.platform === "darwin") {
      found = arm ? require("bitnet-bun-darwin-arm64") : require("bitnet-bun-darwin-x64");
    } else if (process.platform === "win32") {
      found = require("bitnet-bun-win32-x64");
    }
  } catch {
    return undefined;
  }
  return found?.default;
}

function builtCore(): string {
  const root = join(import.meta.dir, "..", "..", "zig-out");
  const path = join(root, ...libraryFile());
  if (existsSync(path)) return path;
  throw new BitNetError(
    "native/core-missing",
    `there is no native core for ${process.platform}-${process.arch}: in a checkout run ` +
      "`npm run build`; in an app, install again without leaving out optional dependencies",
  );
}

function libraryFile(): string[] {
  if (process.platform === "win32") return ["bin", "bitnet.dll"];
  return ["lib", process.platform === "darwin" ? "libbitnet.dylib" : "libbitnet.so"];
}
