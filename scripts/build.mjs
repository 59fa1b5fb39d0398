/**
 * Set-up and the native build, nothing else.
 *
 *   npm run build
 */
import { withSetup } from "./setup.mjs";

await withSetup({}, async () => 0);
