/** What Node and other runtimes get when they import the package: the reason and the remedy. */
throw new Error(
  "bitnet-bun runs on Bun, not on Node: install Bun from https://bun.com and start your program " +
    "with `bun your-program.ts`",
);
