/** The machine and the versions that a measurement belongs to. */
import { existsSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import packageFile from "../../package.json" with { type: "json" };
import { coreInfo, type IsaName } from "../native/index.ts";

export interface MachineDescription {
  cpu: string;
  processors: number;
  platform: string;
  memoryBytes: number;
  isa: IsaName;
  threads: number;
  bun: string;
  version: string;
  /** Of a checkout; null where the package is installed. */
  commit: string | null;
}

/** `threads` is what the measured runs use, by default the core's own choice. */
export function describeMachine(threads = coreInfo().threads): MachineDescription {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    processors: os.availableParallelism(),
    platform: `${process.platform}-${process.arch}`,
    memoryBytes: os.totalmem(),
    isa: coreInfo().isa,
    threads,
    bun: Bun.version,
    version: packageFile.version,
    commit: checkoutCommit(),
  };
}

/** One line of it, for people. */
export function formatMachine(machine: MachineDescription): string {
  const { cpu, processors, platform, isa, threads, bun, version, commit } = machine;
  const code = commit === null ? version : `${version} (${commit})`;
  return (
    `${cpu}, ${processors} processors, ${platform}, ${isa}, threads: ${threads}; ` +
    `Bun ${bun}, bitnet-bun ${code}`
  );
}

function checkoutCommit(): string | null {
  const root = join(import.meta.dir, "..", "..");
  // Elsewhere git would answer for the repository around the package.
  if (!existsSync(join(root, ".git")) || Bun.which("git") === null) return null;
  const { exitCode, stdout } = Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], {
    cwd: root,
    stderr: "ignore",
  });
  return exitCode === 0 ? stdout.toString().trim() : null;
}
