/**
 * Runs before every `bun test`: builds the native core when it is missing or older than zig/, so
 * that a fresh checkout needs no other command first.
 */
import { ensureSetup } from "../scripts/setup.mjs";

await ensureSetup();
