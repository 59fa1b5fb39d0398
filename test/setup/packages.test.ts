/**
 * What is published works where it is installed: the package and its platform package go as
 * tarballs into an empty project with an empty home and nothing on the PATH but Bun. Long, for it
 * compiles the core for every system.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const out = join(root, "dist/packages");
const system = `${process.platform}-${process.arch}`;
const minutes = 60_000;
const version = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version as string;

let scratch: string;
let app: string;

describe.skipIf(!process.env.BITNET_LONG)("packages", () => {
  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), "bitnet-packages-"));
    app = join(scratch, "app");
    for (const folder of ["app", "home", "path"]) mkdirSync(join(scratch, folder));
    symlinkSync(process.execPath, join(scratch, "path/bun"));
    const build = [process.execPath, "scripts/build-packages.ts"];
    const built = await run(build, { cwd: root, env: process.env });
    expect(built).toMatchObject({ code: 0 });
    await Bun.write(join(app, "package.json"), `{ "name": "app", "type": "module" }`);
    const added = await inApp(["add", ...[tarball("bitnet-bun"), tarball(`bitnet-bun-${system}`)]]);
    expect(added).toMatchObject({ code: 0 });
  }, 25 * minutes);

  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test("every system has a package that only fits its own os and cpu", () => {
    for (const name of ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"]) {
      const folder = join(out, `bitnet-bun-${name}`);
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      expect(`${manifest.os}-${manifest.cpu}`).toBe(name);
      expect(existsSync(tarball(`bitnet-bun-${name}`))).toBe(true);
      for (const file of manifest.files) expect(existsSync(join(folder, file))).toBe(true);
    }
  });

  test("an installed package generates without a compiler", async () => {
    await Bun.write(
      join(app, "story.ts"),
      `import { load } from "bitnet-bun";
       await using model = await load("fairy-tales");
       let text = "";
       for await (const piece of model.generate("Once upon a time", { maxTokens: 20, seed: 1 }))
         text += piece.text;
       console.log(text.length > 20 ? "told" : text);`,
    );
    expect(await inApp(["story.ts"])).toMatchObject({ code: 0, out: "told\n" });
  });

  test("an installed package lends native memory", async () => {
    await Bun.write(
      join(app, "memory.ts"),
      `import { HybridMemoryPool } from "bitnet-bun/memory";
       using pool = new HybridMemoryPool({ level: "standard" });
       using block = pool.allocate(4096, { align: 64, tag: "numbers" });
       block.view(Float32Array).fill(2);
       console.log(pool.metrics().used, pool.report().tags[0]?.tag);`,
    );
    expect(await inApp(["memory.ts"])).toMatchObject({ code: 0, out: "4096 numbers\n" });
  });

  test("the installed command runs", async () => {
    const { code, out: text } = await inApp(["x", "bitnet", "run", "fairy-tales", "The wolf"]);
    expect(code).toBe(0);
    expect(text.length).toBeGreaterThan(300);
  });

  test(
    "an app compiled into one file carries the core with it",
    async () => {
      await Bun.write(
        join(app, "core.ts"),
        `import { BitNetError, load } from "bitnet-bun";
       const failure = await load(process.argv[2] ?? "").catch((cause) => cause);
       console.log(failure instanceof BitNetError ? failure.code : "loaded");`,
      );
      expect(await inApp(["build", "--compile", "core.ts", "--outfile", "core"])).toMatchObject({
        code: 0,
      });
      renameSync(join(app, "node_modules"), join(scratch, "aside"));
      const fixture = join(root, "models/fairy-tales");
      const ran = await run([join(app, "core"), fixture], { cwd: scratch });
      renameSync(join(scratch, "aside"), join(app, "node_modules"));
      expect(ran).toMatchObject({ code: 0, out: "loaded\n" });
    },
    2 * minutes,
  );

  test("types resolve for a strict consumer who checks libraries too", async () => {
    await Bun.write(
      join(app, "typed.ts"),
      `import { load } from "bitnet-bun";
       import { HybridMemoryPool, type PoolMetrics } from "bitnet-bun/memory";
       using pool = new HybridMemoryPool({ level: "basic", maxBytes: 1 << 20 });
       const floats: Float32Array = pool.allocate(64).view(Float32Array);
       const { used }: PoolMetrics = pool.metrics();
       used satisfies number;
       // @ts-expect-error there is no such level
       new HybridMemoryPool({ level: "all" });
       await using model = await load("fairy-tales");
       for await (const piece of model.generate("a")) piece.text satisfies string;
       const logits: Float32Array = await model.logits([1]);
       // @ts-expect-error pieces are no numbers
       for await (const piece of model.generate("a")) piece.text satisfies number;
       export { floats, logits };`,
    );
    await Bun.write(
      join(app, "tsconfig.json"),
      `{ "compilerOptions": { "module": "nodenext", "target": "esnext", "lib": ["esnext"],
         "strict": true, "noEmit": true, "types": ["${root}/node_modules/bun-types"] }, "files": ["typed.ts"] }`,
    );
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    expect(await run([process.execPath, tsc, "-p", app], { cwd: app })).toMatchObject({
      code: 0,
      out: "",
    });
  });

  test.skipIf(Bun.which("node") === null)("Node gets one sentence with the remedy", async () => {
    const script = `import("bitnet-bun").catch((error) => console.log(error.message))`;
    const { out: text } = await run([Bun.which("node") ?? "", "-e", script], { cwd: app });
    expect(text).toMatch(/^bitnet-bun runs on Bun, not on Node: install Bun from .*\n$/);
  });

  test.skipIf(Bun.which("npm") === null)(
    "npm pack alone gives a package for this system",
    async () => {
      const packed = await run(["npm", "pack", "--silent", "--pack-destination", scratch], {
        cwd: root,
        env: process.env,
      });
      expect(packed.code).toBe(0);
      expect((await inApp(["remove", `bitnet-bun-${system}`])).code).toBe(0);
      const own = join(scratch, `bitnet-bun-${version}.tgz`);
      expect(await inApp(["add", own])).toMatchObject({ code: 0 });
      expect(await inApp(["story.ts"])).toMatchObject({ code: 0, out: "told\n" });
    },
    2 * minutes,
  );
});

function tarball(name: string): string {
  return join(out, `${name}-${version}.tgz`);
}

function inApp(args: string[]) {
  return run([join(scratch, "path/bun"), ...args], { cwd: app });
}

/** Runs with an empty home and a PATH that holds Bun alone, unless told otherwise. */
async function run(
  command: string[],
  options: { cwd: string; env?: Record<string, string | undefined> },
) {
  const env = { PATH: join(scratch, "path"), HOME: join(scratch, "home") };
  const child = Bun.spawn(command, {
    env,
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
    ...options,
  });
  const [text, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out: text, err };
}
