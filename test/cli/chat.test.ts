/** `bitnet chat` over a pipe: each line a message, commands, and Ctrl-C that stops an answer. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { bitnet, startBitnet } from "./run-bitnet.ts";

const withTemplate = join(import.meta.dir, "..", "fixtures", "models", "bitnet-2b4t-packed");
const calm = ["-q", "--temperature", "0", "-n", "6"];

test("each line of a pipe is answered on standard output", async () => {
  const { exitCode, stdout, stderr } = await bitnet(["chat", withTemplate, ...calm], {
    input: "Hello\n\nWhy?\n/exit\nnot read\n",
  });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout.length).toBeGreaterThan(2);
});

test("an answer depends on what was said, and /reset forgets it", async () => {
  const [apart, reset] = await Promise.all([
    bitnet(["chat", ...calm], { input: "The wolf said\n" }),
    bitnet(["chat", ...calm], { input: "A king had a daughter\n/reset\nThe wolf said\n" }),
  ]);
  expect(reset.stdout).toEndWith(apart.stdout);
  expect(apart.exitCode).toBe(0);
});

test("a model without a template says so and writes on", async () => {
  const { stdout, stderr } = await bitnet(["chat", "--temperature", "0", "-n", "6"], {
    input: "The wolf said",
  });
  expect(stderr).toContain("fairy-tales has no chat template");
  expect(stdout.trim()).not.toBe("");
});

test("a system message needs a template", async () => {
  const { exitCode, stderr } = await bitnet(["chat", "--system", "Be brief."]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("code: engine/no-chat-template\n");
});

test("/help and unknown commands answer on standard error", async () => {
  const { stdout, stderr } = await bitnet(["chat", ...calm], { input: "/help\n/quiet\n" });
  expect(stdout).toBe("");
  expect(stderr).toContain("/reset  forget");
  expect(stderr).toContain("unknown command /quiet");
});

test("Ctrl-C stops the answer and the next message is answered", async () => {
  const child = startBitnet(["chat", "-q", "--seed", "3", "--ignore-eos", "-n", "1000000"]);
  const reader = child.stdout.getReader();
  child.stdin.write("The wolf said\n");
  child.stdin.flush();
  await reader.read();
  child.kill("SIGINT");
  child.stdin.write("The king said\n/exit\n");
  child.stdin.end();
  await Bun.sleep(400);
  child.kill("SIGINT");
  while (!(await reader.read()).done);
  expect(await child.stderr.text()).toBe("");
  expect(await child.exited).toBe(0);
});
