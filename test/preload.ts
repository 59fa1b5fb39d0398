/**
 * Runs before every `bun test`: builds the native core when it is missing or older than zig/, so
 * that a fresh checkout needs no other command first. Where that fails the reason is printed and
 * the tests that need no core still run; the others fail by themselves, for there is no library.
 */
import { ensureSetup, report } from "../scripts/setup.mjs";

await ensureSetup().catch(report);
