/**
 * Repeats in turns: each round runs every task once, so that a machine that slows down for a while
 * slows all of them, and ratios between tasks hold. Every other round goes backwards.
 */
import { type Summary, summarize } from "./statistics.ts";

/** Measures once and gives the sample, a rate or a time. */
export type Task = () => number | Promise<number>;

/** Summaries by task. @throws RangeError when `rounds` is not a whole number from 1. */
export async function measureRounds<Name extends string>(
  tasks: Readonly<Record<Name, Task>>,
  rounds: number,
): Promise<Record<Name, Summary>> {
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(`want a whole number of rounds from 1, got ${rounds}`);
  }
  const names = Object.keys(tasks) as Name[];
  const samples = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      samples.get(name)!.push(await tasks[name]());
    }
  }
  const summaries = names.map((name) => [name, summarize(samples.get(name)!)]);
  return Object.fromEntries(summaries) as Record<Name, Summary>;
}

/** `amount` a second, for the time that the work takes. */
export async function rateOf(amount: number, work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (amount * 1000) / (performance.now() - start);
}
