/** `bitnet convert` as people call it. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bitnet } from "./run-bitnet.ts";

const folder = mkdtempSync(join(tmpdir(), "cli-convert-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("bitnet convert", () => {
  test("the bundled model as a GGUF file tells the same story", async () => {
    const out = join(folder, "tales.gguf");
    const converted = await bitnet(["convert", "fairy-tales", out, "--type", "TQ1_0", "--json"]);
    expect(converted.exitCode).toBe(0);
    const { path, type, bytes, architecture } = JSON.parse(converted.stdout);
    expect({ path, type, architecture }).toEqual({
      path: out,
      type: "TQ1_0",
      architecture: "bitnet-b1.58",
    });
    expect(bytes).toBe(Bun.file(out).size);
    const tell = (model: string) =>
      bitnet(["run", model, "The wolf", "-n", "40", "-t", "0", "-q"]).then((told) => told.stdout);
    const story = await tell("fairy-tales");
    expect(story.length).toBeGreaterThan(40);
    expect(await tell(out)).toBe(story);
  });

  test("a file that is there is replaced with --force alone", async () => {
    const out = join(folder, "there.gguf");
    await Bun.write(out, "precious");
    const refused = await bitnet(["convert", "fairy-tales", out]);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain("code: cli/file-exists");
    expect(await Bun.file(out).text()).toBe("precious");
    const forced = await bitnet(["convert", "fairy-tales", out, "--force"]);
    expect(forced.exitCode).toBe(0);
    expect(forced.stdout.trim()).toBe(out);
    expect(forced.stderr).toContain("56 ternary matrices in TQ2_0");
  });

  test("--packing writes a folder that tells the same story, and inspect measures packings", async () => {
    const out = join(folder, "packed");
    const converted = await bitnet(["convert", "fairy-tales", out, "--packing", "auto"]);
    expect(converted.exitCode).toBe(0);
    expect(converted.stdout.trim()).toBe(out);
    expect(converted.stderr).toContain("56 ternary matrices base-3");
    const tell = (model: string) =>
      bitnet(["run", model, "The wolf", "-n", "30", "-t", "0", "-q"]).then((told) => told.stdout);
    expect(await tell(out)).toBe(await tell("fairy-tales"));
    const taken = await bitnet(["convert", "fairy-tales", out, "--packing", "auto", "--force"]);
    expect(taken.stderr).toContain("code: cli/file-exists");
    const inspected = await bitnet(["inspect", out, "--packings", "--json"]);
    const { packings } = JSON.parse(inspected.stdout);
    expect(packings).toHaveLength(56);
    expect(packings[0].report.best).toBe("base-3");
    expect((await bitnet(["inspect", out, "--packings"])).stdout).toContain("RUN-LENGTH");
  });

  test("refuses a model that is not there and leaves nothing behind", async () => {
    const names = readdirSync(folder);
    const refused = await bitnet(["convert", "./absent", join(folder, "x.gguf")]);
    expect(refused.exitCode).toBe(1);
    expect(readdirSync(folder)).toEqual(names);
    expect((await bitnet(["convert", "fairy-tales"])).stderr).toContain("expected OUT");
  });
});
