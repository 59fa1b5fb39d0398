/**
 * One executable, dist/bitnet, with Bun, the command, the native core and the bundled models in it.
 *
 *   npm run build:binary
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { corePath } from "./setup/steps.mjs";

const root = join(import.meta.dir, "..");
const entry = join(root, "dist/binary.ts");
const outfile = join(root, process.platform === "win32" ? "dist/bitnet.exe" : "dist/bitnet");

const core = relative(dirname(entry), corePath(root)).replaceAll("\\", "/");
const models = readdirSync(join(root, "models"), { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => statSync(join(root, "models", path)).isFile())
  .sort();

mkdirSync(join(root, "dist"), { recursive: true });
writeFileSync(entry, entryText());
compile();
const megabytes = (statSync(outfile).size / 1e6).toFixed(0);
console.log(`dist/bitnet: ${megabytes} MB, with ${models.length} files of bundled models`);

/** Imports have to be static for the bundler, so the entry is written out. */
function entryText(): string {
  const hash = createHash("sha256");
  const imports = models.map((path, index) => {
    hash.update(path).update(readFileSync(join(root, "models", path)));
    return `import file${index} from ${JSON.stringify(`../models/${path}`)} with { type: "file" };`;
  });
  const files = models.map((path, index) => `    ${JSON.stringify(path)}: file${index},`);
  return `/** Written by scripts/build-binary.ts: what the binary carries. */
import core from ${JSON.stringify(core)} with { type: "file" };
${imports.join("\n")}
import { runBinary } from "../src/cli/binary.ts";

await runBinary({
  core,
  models: {
${files.join("\n")}
  },
  digest: ${JSON.stringify(hash.digest("hex").slice(0, 16))},
});
`;
}

/** A binary reads no .env and no bunfig.toml of the folder it happens to run in. */
function compile(): void {
  const { exitCode } = Bun.spawnSync(
    [
      ...[process.execPath, "build", "--compile", "--minify-syntax", "--minify-whitespace"],
      ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
      ...[entry, "--outfile", outfile],
    ],
    { cwd: root, stdout: "ignore", stderr: "inherit" },
  );
  if (exitCode !== 0) process.exit(exitCode);
}
