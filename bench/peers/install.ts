/**
 * node-llama-cpp in a folder of its own, outside the checkout and no dependency of the package:
 * found there, or brought by npm with the one prebuilt binary that this machine takes.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const peerVersion = "3.22.1";

/** Source: optionalDependencies of node-llama-cpp 3.22.1. */
const binaries: Record<string, string> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "darwin-arm64": "mac-arm64-metal",
  "darwin-x64": "mac-x64",
  "win32-x64": "win-x64",
  "win32-arm64": "win-arm64",
};

const llama = join(import.meta.dir, "llama.ts");

/** How to start the peer, or why it cannot be measured here. */
export type Peer = { command: string[] } | { missing: string };

/** The peer in `folder`, installed where it is not there yet. */
export function findPeer(folder: string): Peer {
  const home = join(folder, `node-llama-cpp-${peerVersion}`);
  const isThere = (): boolean => existsSync(join(home, "node_modules", "node-llama-cpp", "dist"));
  if (!isThere()) {
    const failure = install(home);
    if (failure !== undefined || !isThere()) return { missing: failure ?? "npm left no package" };
  }
  return { command: [process.execPath, llama, home] };
}

function install(home: string): string | undefined {
  const npm = Bun.which("npm");
  const binary = binaries[`${process.platform}-${process.arch}`];
  if (npm === null) return "npm is not installed, which would bring it";
  if (binary === undefined) return "it has no binary for this system";
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), '{ "private": true }\n');
  console.error(`bringing node-llama-cpp ${peerVersion} into ${home}`);
  const packages = [`node-llama-cpp@${peerVersion}`, `@node-llama-cpp/${binary}@${peerVersion}`];
  const flags = [
    "--omit=optional",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ];
  const { exitCode, stderr } = Bun.spawnSync([npm, "install", ...flags, ...packages], {
    cwd: home,
    stdout: "ignore",
  });
  if (exitCode === 0) return undefined;
  return `npm could not bring it: ${stderr.toString().trim().split("\n")[0]}`;
}
