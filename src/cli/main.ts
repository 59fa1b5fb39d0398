/** The command `bitnet`: runs what the arguments ask for and ends with its exit code. */
import { runCli } from "./run-cli.ts";

process.exit(await runCli(process.argv.slice(2)));
