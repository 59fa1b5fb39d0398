/**
 * The set-up in a scratch checkout with stand-ins for npm and Zig that note each call: what it
 * does, what it leaves alone, what it says, and what two of them at once do.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";

const scripts = join(import.meta.dir, "../../scripts");
const node = Bun.which("node");
const library = process.platform === "darwin" ? "libbitnet.dylib" : "libbitnet.so";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bitnet-setup-"));
  for (const folder of ["zig", "path", "src/cli"])
    mkdirSync(join(root, folder), { recursive: true });
  write("package.json", JSON.stringify({ dependencies: { left: "1.0.0" } }));
  write("package-lock.json", "{}");
  write("zig/build.zig", "// build");
  write("src/cli/main.ts", `console.log(process.argv.slice(2).join("|"));`);
  program("npm", `echo npm $1 >> calls; mkdir -p node_modules`);
  program(
    "zig",
    `test "$1" = version && echo 0.16.0 && exit; echo zig $1 >> calls
     sleep 0.2; grep -q broken zig/build.zig && echo no such kernel && exit 1
     mkdir -p zig-out/lib; echo core > zig-out/lib/${library}`,
  );
  cpSync(scripts, join(root, "scripts"), { recursive: true });
  for (const tool of ["mkdir", "sleep", "grep"]) {
    symlinkSync(Bun.which(tool) ?? "", join(root, "path", tool));
  }
  program("bun", `exec ${process.execPath} "$@"`);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const onUnix = test.skipIf(process.platform === "win32" || node === null);

onUnix("a fresh checkout is set up once, with a line per step, and started", async () => {
  const first = await run("start.mjs", "The wolf said", "--seed", "7");
  expect(first).toMatchObject({ code: 0, out: "run|fairy-tales|The wolf said|--seed|7\n" });
  expect(first.err).toContain("set-up: installing packages with npm ci");
  expect(first.err).toContain("set-up: building the native core with Zig 0.16.0");
  const second = await run("start.mjs");
  expect(second).toEqual({ code: 0, out: "run|fairy-tales\n", err: "" });
  expect(calls()).toEqual(["npm ci", "zig build"]);
});

onUnix("a changed kernel is built again, the packages are left alone", async () => {
  await run("build.mjs");
  write("zig/kernel.zig", "// new");
  await run("build.mjs");
  expect(calls()).toEqual(["npm ci", "zig build", "zig build"]);
});

onUnix("a changed lock file installs again unless the pinned versions are in place", async () => {
  await run("build.mjs");
  write("package-lock.json", "{ }");
  await run("build.mjs");
  expect(calls()).toEqual(["npm ci", "zig build", "npm ci"]);
  write("node_modules/left/package.json", `{ "version": "1.0.0" }`);
  write("node_modules/.package-lock.json", "{}");
  write("package-lock.json", "{  }");
  await run("build.mjs");
  expect(calls().length).toBe(3);
});

onUnix("two set-ups at once build once, and both succeed", async () => {
  const both = await Promise.all([run("build.mjs"), run("build.mjs")]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(calls()).toEqual(["npm ci", "zig build"]);
  expect(existsSync(join(root, ".setup-lock"))).toBe(false);
});

onUnix("the lock of a process that died is taken over", async () => {
  const dead = Bun.spawnSync(["true"]).pid;
  write(".setup-lock", `${hostname()} ${dead}`);
  expect((await run("build.mjs")).code).toBe(0);
});

onUnix("Ctrl-C in a build ends the compiler and leaves no lock behind", async () => {
  const child = spawn("build.mjs");
  for (let wait = 0; wait < 100 && !calls().includes("zig build"); wait += 1) await Bun.sleep(20);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(existsSync(join(root, ".setup-lock"))).toBe(false);
  expect((await run("build.mjs")).code).toBe(0);
});

onUnix(
  "a core that does not compile shows the compiler's words and leaves no old library",
  async () => {
    await run("build.mjs");
    write("zig/build.zig", "// broken");
    const broken = await run("start.mjs");
    expect(broken.code).toBe(1);
    expect(broken.err).toContain("no such kernel\nset-up: the native core did not compile");
    expect(existsSync(join(root, "zig-out/lib", library))).toBe(false);
  },
);

onUnix("a missing compiler is one sentence with the remedy", async () => {
  program("zig", "echo 0.11.0");
  const { code, err } = await run("start.mjs");
  expect(code).toBe(1);
  expect(err).toMatch(/set-up: no Zig compiler for \S+ is installed: run .* or set BITNET_CORE/);
});

onUnix("a missing npm is one sentence with the remedy", async () => {
  rmSync(join(root, "path/npm"));
  const { code, err } = await run("start.mjs");
  expect({ code, err }).toEqual({
    code: 1,
    err: "set-up: npm is not on the PATH: install it beside Node, or use `bun install`\n",
  });
});

onUnix("a Bun whose install script was held back is found in its platform package", async () => {
  await run("build.mjs");
  rmSync(join(root, "path/bun"));
  const { err } = await run("start.mjs");
  expect(err).toMatch(/set-up: no Bun for \S+ is installed/);
  const system = process.platform;
  const cpu = process.arch === "arm64" ? "aarch64" : process.arch;
  write("node_modules/bun/bin/bun.exe", "exit 1");
  const held = join("node_modules/@oven", `bun-${system}-${cpu}`, "bin/bun");
  write(held, `#!/bin/sh\nexec ${process.execPath} "$@"\n`);
  chmodSync(join(root, held), 0o755);
  expect((await run("start.mjs")).out).toBe("run|fairy-tales\n");
});

onUnix("the exit code of the started program is passed on", async () => {
  write("src/cli/main.ts", "process.exit(7);");
  expect((await run("start.mjs")).code).toBe(7);
});

function spawn(script: string, ...args: string[]) {
  return Bun.spawn([node ?? "node", join(root, "scripts", script), ...args], {
    cwd: root,
    env: { PATH: join(root, "path"), HOME: root },
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(script: string, ...args: string[]) {
  const child = spawn(script, ...args);
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

function calls(): string[] {
  const path = join(root, "calls");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
}

function write(path: string, text: string) {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), text);
}

function program(name: string, body: string) {
  write(join("path", name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(root, "path", name), 0o755);
}
