/**
 * What bench/memory.ts runs in processes of their own, because the engine's pool is set up once:
 *
 *   decode        decodes with the bundled model at each message of its parent, and answers
 *   record FILE   writes what the engine allocates and frees
 *
 * The trace is pairs of u32, a slot and the size of a block; size 0 frees the slot.
 */
import { load, type Model } from "../src/index.ts";
import {
  NativePool,
  PoolEventKind,
  PoolEventLayout,
  type StructValues,
} from "../src/native/index.ts";

type Event = StructValues<typeof PoolEventLayout>;

/** One decode: how long it took, and how many blocks the core allocated for it. */
export interface Decode {
  milliseconds: number;
  blocks: number;
}

const [task, argument = ""] = process.argv.slice(2);
if (task === "decode") await decodeWhenAsked();
else if (task === "record") await Bun.write(argument, await record());
else throw new Error(`want decode or record, got ${task}`);

async function generate(model: Model, maxTokens: number): Promise<void> {
  const options = { temperature: 0, ignoreEos: true, maxTokens };
  await model.generate("Once upon a time", options).text();
}

async function decodeWhenAsked(): Promise<void> {
  const model = await load("fairy-tales");
  const pool = NativePool.engine();
  // What has come in before waits for the first listener.
  process.on("message", async () => {
    const before = pool.metrics().allocated_count;
    const start = performance.now();
    await generate(model, 192);
    const milliseconds = performance.now() - start;
    const decode: Decode = { milliseconds, blocks: pool.metrics().allocated_count - before };
    process.send!(decode);
  });
}

/** Loading, generations of several lengths, logits, and the end. */
async function record(): Promise<Uint32Array> {
  const pool = NativePool.engine();
  const events = new Map<string, Event>();
  // The pool keeps its last 8,192 events: looked at often enough, all of them.
  const look = (): void => {
    for (const event of pool.read("events", PoolEventLayout)) {
      events.set(`${event.time_ns} ${event.kind} ${event.address}`, event);
    }
  };
  const model = await load("fairy-tales");
  look();
  for (let turn = 0; turn < 24; turn += 1) {
    await generate(model, 8 + 4 * turn);
    await model.logits(Array.from({ length: 1 + turn }, (_, index) => index + 1));
    look();
  }
  await model[Symbol.asyncDispose]();
  look();
  return traceOf([...events.values()].sort((a, b) => a.time_ns - b.time_ns));
}

function traceOf(events: readonly Event[]): Uint32Array {
  const slotOf = new Map<number, number>();
  const vacant: number[] = [];
  const trace: number[] = [];
  let slotCount = 0;
  for (const { kind, address, size } of events) {
    if (kind === PoolEventKind.allocate) {
      const slot = vacant.pop() ?? slotCount++;
      slotOf.set(address, slot);
      trace.push(slot, size);
    } else if (kind === PoolEventKind.free) {
      const slot = slotOf.get(address);
      if (slot === undefined) continue;
      slotOf.delete(address);
      vacant.push(slot);
      trace.push(slot, 0);
    }
  }
  return Uint32Array.from(trace);
}
