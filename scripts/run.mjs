/**
 * Set-up, then a TypeScript file under the pinned Bun, wherever its binary lies.
 *
 *   node scripts/run.mjs bench/engine.ts --smoke
 */

import { runAttached } from "./setup/process.mjs";
import { checkout, withSetup } from "./setup.mjs";

await withSetup({}, (bun) => runAttached([bun, ...process.argv.slice(2)], { cwd: checkout }));
