/** The command as a process: help, versions, refusals and exit codes, without a model. */
import { describe, expect, test } from "bun:test";
import packageJson from "../../package.json";
import { commands } from "../../src/cli/commands.ts";
import { commandHelp } from "../../src/cli/help.ts";
import { bitnet } from "./run-bitnet.ts";

test("no arguments and --help print the overview on standard output", async () => {
  const [bare, asked] = await Promise.all([bitnet([]), bitnet(["--help"])]);
  expect(bare).toEqual(asked);
  expect(asked).toMatchObject({ exitCode: 0, stderr: "" });
  for (const name of Object.keys(commands)) expect(asked.stdout).toContain(`\n  ${name}`);
  expect(asked.stdout).toContain('bitnet run "The wolf said"');
  expect(asked.stdout).not.toContain("\x1b");
});

test("--version prints the version of the package", async () => {
  expect(await bitnet(["--version"])).toEqual({
    exitCode: 0,
    stdout: `${packageJson.version}\n`,
    stderr: "",
  });
});

test("every command explains itself with examples and fits a terminal", async () => {
  for (const [name, { load }] of Object.entries(commands)) {
    const help = commandHelp(await load());
    expect(help).toContain(`bitnet ${name}`);
    expect(help).toContain("Examples");
    for (const line of help.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  }
});

test("`help run`, `run --help` and `run -h` are one", async () => {
  const calls = [
    ["help", "run"],
    ["run", "--help"],
    ["run", "a prompt", "-h"],
  ];
  const [first, ...others] = await Promise.all(calls.map((args) => bitnet(args)));
  expect(first).toMatchObject({ exitCode: 0, stderr: "" });
  for (const other of others) expect(other).toEqual(first!);
});

describe("refusals", () => {
  const cases: [string[], number, string][] = [
    [["rnu"], 2, "cli/unknown-command"],
    [["--verison"], 2, "cli/unknown-option"],
    [["run", "--warm"], 2, "cli/unknown-option"],
    [["run", "--seed", "x"], 2, "cli/invalid-value"],
    [["run", "nothing-of-that-name"], 1, "hub/invalid-name"],
    [["run", "./nothing/there"], 1, "hub/not-found"],
    [["run", "owner/name"], 1, "hub/offline"],
    [["inspect", "./nothing/there"], 1, "hub/not-found"],
    [["pull"], 2, "cli/missing-argument"],
    [["pull", "not-a-hub-name"], 1, "hub/invalid-name"],
    [["rm", "../.."], 1, "hub/invalid-name"],
    [["rm", "owner/name"], 1, "hub/not-found"],
  ];
  test.concurrent.each(cases)("%j: exit code %d, %s", async (args, exitCode, code) => {
    const result = await bitnet(args);
    expect(result.stderr).toMatch(/^error: .+\ncode: \S+\n$/);
    expect(result).toMatchObject({ exitCode, stdout: "" });
    expect(result.stderr).toContain(`code: ${code}\n`);
  });
});

test("with --json the error is JSON on standard output", async () => {
  const { exitCode, stdout } = await bitnet(["run", "owner/name", "--json"]);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    error: { code: "hub/offline", message: expect.stringContaining("bitnet pull owner/name") },
  });
});

test("BITNET_DEBUG=1 adds the place in the code", async () => {
  const { stderr } = await bitnet(["run", "./nothing/there"], { env: { BITNET_DEBUG: "1" } });
  expect(stderr).toContain("\n    at ");
});
