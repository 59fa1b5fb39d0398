/**
 * What is published, in dist/packages: the package itself without a core, and for each system a
 * package with the core that Zig cross-builds here. Package managers install only the one whose
 * `os` and `cpu` fit. One Linux library serves glibc and musl: it needs no other library.
 *
 *   npm run build:packages [-- linux-x64 darwin-arm64]
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { buildTypes } from "./build-types.ts";
import { runQuiet } from "./setup/process.mjs";
import { zigEnvironment } from "./setup/steps.mjs";
import { findZig } from "./setup/tools.mjs";

/** Zig's target and where its build puts the library, by `<process.platform>-<process.arch>`. */
const systems: Record<string, { target: string; library: string }> = {
  "linux-x64": { target: "x86_64-linux-gnu", library: "lib/libbitnet.so" },
  "linux-arm64": { target: "aarch64-linux-gnu", library: "lib/libbitnet.so" },
  "darwin-x64": { target: "x86_64-macos", library: "lib/libbitnet.dylib" },
  "darwin-arm64": { target: "aarch64-macos", library: "lib/libbitnet.dylib" },
  "win32-x64": { target: "x86_64-windows-gnu", library: "bin/bitnet.dll" },
};

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly files: readonly string[];
  readonly [key: string]: unknown;
}

const root = join(import.meta.dir, "..");
const out = join(root, "dist/packages");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in systems));
if (unknown.length > 0) {
  console.error(
    `no such system: ${unknown.join(", ")} (there are ${Object.keys(systems).join(", ")})`,
  );
  process.exit(1);
}

rmSync(out, { recursive: true, force: true });
for (const system of asked.length > 0 ? asked : Object.keys(systems)) await packSystem(system);
await packMain();

async function packSystem(system: string): Promise<void> {
  const { target, library } = systems[system]!;
  const prefix = join(root, "dist/cores", system);
  await run([
    ...[findZig(root), "build", "--build-file", "zig/build.zig"],
    ...["--prefix", prefix, `-Dtarget=${target}`],
  ]);
  const [os, cpu] = system.split("-");
  const file = basename(library);
  const folder = packageFolder(`${manifest.name}-${system}`);
  cpSync(join(prefix, library), join(folder, file));
  cpSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  writeJson(join(folder, "package.json"), {
    name: basename(folder),
    version: manifest.version,
    description: `The native core of ${manifest.name} for ${system}.`,
    license: manifest.license,
    type: "module",
    os: [os],
    cpu: [cpu],
    exports: { ".": "./index.ts", "./package.json": "./package.json" },
    files: ["index.ts", file],
  });
  writeFileSync(
    join(folder, "index.ts"),
    `/** The path of the native core, also from within a compiled binary. */
import path from "./${file}" with { type: "file" };
export default path;
`,
  );
  await pack(folder);
}

async function packMain(): Promise<void> {
  buildTypes();
  const folder = packageFolder(manifest.name);
  const files = manifest.files.filter((file) => !file.startsWith("zig-out"));
  for (const file of [...files, "README.md", "LICENSE"]) {
    if (existsSync(join(root, file))) {
      cpSync(join(root, file), join(folder, file), { recursive: true });
    }
  }
  const { scripts: _scripts, devDependencies: _tools, ...published } = manifest;
  const cores = Object.keys(systems).map((system) => [
    `${manifest.name}-${system}`,
    manifest.version,
  ]);
  writeJson(join(folder, "package.json"), {
    ...published,
    files,
    optionalDependencies: Object.fromEntries(cores),
  });
  await pack(folder);
}

function packageFolder(name: string): string {
  const folder = join(out, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

async function pack(folder: string): Promise<void> {
  await run([process.execPath, "pm", "pack", "--quiet", "--destination", out], folder);
  const { size } = Bun.file(join(out, `${basename(folder)}-${manifest.version}.tgz`));
  console.log(`${basename(folder)}-${manifest.version}.tgz ${(size / 1024).toFixed(0)} KiB`);
}

async function run(command: string[], cwd = root): Promise<void> {
  const { code, output } = await runQuiet(command, { cwd, env: zigEnvironment(root) });
  if (code === 0) return;
  console.error(output);
  process.exit(code);
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
}
