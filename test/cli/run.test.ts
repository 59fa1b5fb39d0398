/** `bitnet run` as a process: stories, prompts from every side, JSON, pipes and Ctrl-C. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { bitnet, startBitnet } from "./run-bitnet.ts";

const speed = new RegExp(
  "^(\\d+) tokens? in [\\d.]+ m?s: [\\d.]+ tokens/s \\(prompt (\\d+) tokens?, [\\d.]+ m?s; " +
    "first token after [\\d.]+ m?s; \\w+, \\d+ threads?\\)\\n$",
);

test("without arguments the bundled model tells a story of 120 tokens or more", async () => {
  const { exitCode, stdout, stderr } = await bitnet(["run"]);
  expect(exitCode).toBe(0);
  expect(stdout).toStartWith("Once upon a time");
  expect(stdout).toEndWith("\n");
  for (const mark of ["\x1b", "\r", "<|endoftext|>"]) expect(stdout).not.toContain(mark);
  expect(Number(speed.exec(stderr)?.[1])).toBeGreaterThanOrEqual(120);
});

test("the same seed tells the same story, whatever the number of threads", async () => {
  const story = (...more: string[]) => bitnet(["run", "The wolf said", "-q", "-n", "40", ...more]);
  const [one, two, other] = await Promise.all([
    story("--seed", "7", "--threads", "1"),
    story("--seed", "7", "--threads", "2"),
    story("--seed", "18446744073709551615"),
  ]);
  expect(one).toMatchObject({ exitCode: 0, stderr: "" });
  expect(one.stdout).toStartWith("The wolf said");
  expect(two.stdout).toBe(one.stdout);
  expect(other.stdout).not.toBe(one.stdout);
});

test("a prompt comes as words, through a pipe, and as - with the same outcome", async () => {
  const options = ["-q", "-n", "12", "--temperature", "0"];
  const results = await Promise.all([
    bitnet(["run", "fairy-tales", "The wolf said", ...options]),
    bitnet(["run", "fairy-tales", "The", "wolf", "said", ...options]),
    bitnet(["run", ...options], { input: "The wolf said\n" }),
    bitnet(["run", "fairy-tales", "-", ...options], { input: "The wolf said" }),
    bitnet(["run", ...options, "--", "The wolf said"]),
  ]);
  for (const result of results) expect(result).toEqual(results[0]!);
  expect(results[0]).toMatchObject({ exitCode: 0, stderr: "" });
});

test("--no-echo leaves the prompt out, --stop ends before its text", async () => {
  const options = ["-q", "-n", "30", "--temperature", "0"];
  const [whole, bare] = await Promise.all([
    bitnet(["run", "The wolf said", ...options]),
    bitnet(["run", "The wolf said", ...options, "--no-echo"]),
  ]);
  expect(`The wolf said${bare.stdout}`).toBe(whole.stdout);
  const stop = bare.stdout.trimEnd().slice(-6);
  const stopped = await bitnet(["run", "The wolf said", ...options, "--stop", "~", "--stop", stop]);
  const end = whole.stdout.indexOf(stop);
  expect(stopped.stdout.trimEnd()).toBe(whole.stdout.slice(0, end).trimEnd());
});

test("--json is one object with text, tokens, reason and figures", async () => {
  const { exitCode, stdout } = await bitnet(["run", "The king", "--json", "-n", "20", "-q"]);
  expect(exitCode).toBe(0);
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ model: "fairy-tales", prompt: "The king" });
  expect(result).toMatchObject({ finishReason: "length", stats: { tokens: 20 } });
  expect(result.tokens).toHaveLength(20);
  expect(result.stats.tokensPerSecond).toBeGreaterThan(0);
});

test("--json --stream has a line for each piece before it, with the same text", async () => {
  const { stdout } = await bitnet(["run", "The king", "--json", "--stream", "-n", "8", "-q"]);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const last = lines.pop();
  expect(lines.map(({ text }) => text).join("")).toBe(last.text);
  expect(lines.at(-1).finishReason).toBe("length");
});

test("the end of the context is the end of the story", async () => {
  const { stdout } = await bitnet(["run", "--json", "-n", "1000", "-q"]);
  const { stats, finishReason } = JSON.parse(stdout);
  expect(finishReason).toBe("length");
  expect(stats.promptTokens + stats.tokens).toBeGreaterThanOrEqual(256);
  expect(stats.promptTokens + stats.tokens).toBeLessThanOrEqual(257);
});

test("a prompt beyond the context and impossible options are refused in a sentence", async () => {
  const [long, cold, wide] = await Promise.all([
    bitnet(["run", "The wolf said ".repeat(200)]),
    bitnet(["run", "--temperature", "-1"]),
    bitnet(["run", "--context", "100000"]),
  ]);
  expect(long).toMatchObject({ exitCode: 1, stdout: "" });
  expect(long.stderr).toContain("code: engine/prompt-too-long\n");
  expect(cold.stderr).toContain("code: generate/invalid-option\n");
  expect(wide.stderr).toContain("code: engine/invalid-option\n");
});

test("a reader that leaves ends the story quietly", async () => {
  const child = startBitnet(["run", "-q"]);
  child.stdin.end();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  expect(await child.stderr.text()).toBe("");
  expect(await child.exited).toBe(0);
});

test("a pipe that nobody writes to does not keep the story waiting for ever", async () => {
  const child = startBitnet(["run", "-n", "5", "--temperature", "0"]);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  child.stdin.end();
  expect(stdout).toStartWith("Once upon a time");
  expect(stderr).toContain("nothing came through the pipe");
});

test("Ctrl-C ends loading or telling with 130 and a whole last line", async () => {
  const atOnce = startBitnet(["run", "--slide", "-n", "1000000"]);
  atOnce.stdin.end();
  const telling = startBitnet(["run", "--slide", "-n", "1000000"]);
  telling.stdin.end();
  const reader = telling.stdout.getReader();
  let text = new TextDecoder().decode((await reader.read()).value);
  telling.kill("SIGINT");
  await Bun.sleep(30);
  atOnce.kill("SIGINT");
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    text += new TextDecoder().decode(chunk.value);
  }
  expect(await telling.exited).toBe(130);
  expect(text).toStartWith("Once upon a time");
  expect(text).toEndWith("\n");
  expect(await atOnce.exited).toBe(130);
  expect(await atOnce.stderr.text()).not.toContain("error");
});

test("doctor finds everything in order here", async () => {
  const [plain, json] = await Promise.all([
    bitnet(["doctor"], { env: { BITNET_HOME: join(import.meta.dir, "absent") } }),
    bitnet(["doctor", "--json"]),
  ]);
  expect(plain.stdout).toMatch(/^ok +bun +/);
  expect(plain.stdout).toMatch(/^ok +core +\w+ \(this processor runs /m);
  expect(plain.stdout).toMatch(/^ok +generating +8 tokens twice alike/m);
  expect(plain.exitCode).toBe(0);
  const { ok, checks } = JSON.parse(json.stdout);
  expect(ok).toBe(true);
  expect(checks).toContainEqual(expect.objectContaining({ name: "model", state: "ok" }));
});

test("doctor fails with the remedy where the core is missing", async () => {
  const { exitCode, stdout } = await bitnet(["doctor"], { env: { BITNET_CORE: "/nowhere.so" } });
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^fail +core +BITNET_CORE names \/nowhere\.so/m);
});
