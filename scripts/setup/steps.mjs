/**
 * The two steps of the set-up and how each tells that it has nothing to do. A stamp lies inside
 * what the step made (node_modules, zig-out), so it goes when that goes: for the packages the hash
 * of package.json and the lock file, for the core the names, sizes and times of zig/.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { runQuiet, SetupError } from "./process.mjs";
import { findZig, installCommand, zigVersion } from "./tools.mjs";

const sizeText = "650 MB with the compiler, once";

/** @typedef {{ root: string, say: (line: string) => void }} Context */
/**
 * @typedef {object} Step
 * @property {string} title
 * @property {(context: Context) => boolean} isDone
 * @property {(context: Context) => Promise<void>} run
 */

/** @type {Record<"deps" | "core", Step>} */
export const steps = {
  deps: { title: "packages", isDone: depsDone, run: installDeps },
  core: { title: "native core", isDone: coreDone, run: buildCore },
};

/**
 * Packages are in place by our stamp, or because a person installed them: then the manifest is
 * believed once every direct dependency has its pinned version.
 * @param {Context} context
 */
function depsDone({ root }) {
  const stamp = depsStamp(root);
  const want = depsHash(root);
  if (readText(stamp) === want) return true;
  const finished = ["node_modules/.package-lock.json", "bun.lock"];
  if (!finished.some((file) => existsSync(join(root, file)))) return false;
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const pinned = { ...manifest.dependencies, ...manifest.devDependencies };
  for (const [name, version] of Object.entries(pinned)) {
    const installed = readText(join(root, "node_modules", name, "package.json"));
    if (installed === undefined || JSON.parse(installed).version !== version) return false;
  }
  writeWhole(stamp, want);
  return true;
}

/** @param {Context} context */
async function installDeps({ root, say }) {
  const { command, shell, tool } = installCommand();
  say(`installing packages with ${tool} (${sizeText})`);
  rmSync(depsStamp(root), { force: true });
  const { code, output } = await runQuiet(command, { cwd: root, shell });
  if (code !== 0) {
    throw new SetupError(
      `installing packages failed (exit code ${code}, see above): ` +
        "with the network reachable, run the command again",
      output,
    );
  }
  writeWhole(depsStamp(root), depsHash(root));
}

/** @param {Context} context */
function coreDone({ root }) {
  if (process.env.BITNET_CORE) return true;
  return existsSync(corePath(root)) && readText(coreStamp(root)) === coreHash(root);
}

/** @param {Context} context */
async function buildCore({ root, say }) {
  const zig = findZig(root);
  say(`building the native core with Zig ${zigVersion}`);
  const hash = coreHash(root);
  const { code, output } = await runQuiet(
    [zig, "build", "--build-file", "zig/build.zig", "--prefix", "zig-out"],
    { cwd: root, env: zigEnvironment(root) },
  );
  if (code !== 0) {
    // An older library would be taken for the one that did not compile.
    rmSync(corePath(root), { force: true });
    throw new SetupError("the native core did not compile (see above)", output);
  }
  if (!existsSync(corePath(root))) {
    throw new SetupError(`the native build ended well but left no ${corePath(root)}`);
  }
  writeWhole(coreStamp(root), hash);
}

/**
 * Where the native build puts the library for this system.
 * @param {string} root
 */
export function corePath(root) {
  if (process.platform === "win32") return join(root, "zig-out/bin/bitnet.dll");
  const suffix = process.platform === "darwin" ? "dylib" : "so";
  return join(root, `zig-out/lib/libbitnet.${suffix}`);
}

/**
 * Zig keeps its cache in the home folder; without a home it goes into the checkout.
 * @param {string} root
 * @returns {NodeJS.ProcessEnv}
 */
export function zigEnvironment(root) {
  const env = process.env;
  const hasHome = (env.HOME ?? env.LOCALAPPDATA) && existsSync(homedir());
  if (hasHome || env.ZIG_GLOBAL_CACHE_DIR || env.XDG_CACHE_HOME) return env;
  return { ...env, ZIG_GLOBAL_CACHE_DIR: join(root, ".zig-cache/global") };
}

/** @param {string} root */
function depsStamp(root) {
  return join(root, "node_modules/.bitnet-stamp");
}

/** @param {string} root */
function coreStamp(root) {
  return join(root, "zig-out/.bitnet-stamp");
}

/** @param {string} root */
function depsHash(root) {
  const files = ["package.json", "package-lock.json"];
  return hashOf(files.map((file) => readText(join(root, file)) ?? ""));
}

/** @param {string} root */
function coreHash(root) {
  const lines = [zigVersion];
  for (const file of sources(join(root, "zig"))) {
    const { size, mtimeMs } = statSync(file);
    lines.push(`${file} ${size} ${mtimeMs}`);
  }
  return hashOf(lines);
}

/**
 * @param {string} folder
 * @returns {string[]} the files below it, without the compiler's own caches
 */
function sources(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith(".") && entry.name !== "zig-out")
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? sources(path) : [path];
    });
}

/** @param {string[]} parts */
function hashOf(parts) {
  return createHash("sha256").update(parts.join("\n")).digest("hex");
}

/** @param {string} path */
function readText(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/**
 * @param {string} path
 * @param {string} text
 */
function writeWhole(path, text) {
  const temporary = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
