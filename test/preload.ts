/**
 * Runs before every `bun test`: builds the native core when it is missing or older than zig/, so
 * that a fresh checkout needs no other command first. Where that fails the reason is printed and
 * the tests that need no core still run; the others fail by themselves, for there is no library.
 * Each test file is checked for native memory that it leaves behind, and nothing is cleaned up by
 * the clock, which would change what tests compare whenever the machine makes them wait.
 */
import { ensureSetup, report } from "../scripts/setup.mjs";

await ensureSetup().catch(report);

// Only now, for these need the packages that the set-up installs.
const { checkEveryFile } = await import("./leaks.ts");
const { setCleanupStrategies } = await import("../src/memory/index.ts");
checkEveryFile();
setCleanupStrategies([]);
