/**
 * The main job: set-up, then the bundled model tells a story. Arguments are the prompt and flags
 * of `bitnet run`.
 *
 *   npm start
 *   npm start -- "The wolf said" --seed 7
 */

import { runAttached } from "./setup/process.mjs";
import { checkout, withSetup } from "./setup.mjs";

await withSetup({}, (bun) =>
  runAttached([bun, "src/cli/main.ts", "run", "fairy-tales", ...process.argv.slice(2)], {
    cwd: checkout,
  }),
);
