/** Pressure: levels of planted readings, hysteresis, and a monitor on a planted clock. */
import { describe, expect, test } from "bun:test";
import {
  type PressureEvent,
  type PressureLevel,
  PressureMonitor,
  type PressureReading,
} from "../../src/memory/index.ts";
import { PressureGauge } from "../../src/memory/pressure.ts";

const MiB = 1 << 20;

/** A machine of 1000 MiB of which a share is in use, by others. */
function machine(use: number, parts: Partial<PressureReading["system"]> = {}): PressureReading {
  const system = { total: 1000 * MiB, limit: 1000 * MiB, resident: 10 * MiB, ...parts };
  return { system: { available: system.limit * (1 - use), ...system } };
}

/** A clock that goes on only when it is told to. */
class Clock {
  now = 0;
  readonly #due = new Set<{ at: number; callback: () => void }>();

  timer = (callback: () => void, milliseconds: number): (() => void) => {
    const entry = { at: this.now + milliseconds, callback };
    this.#due.add(entry);
    return () => this.#due.delete(entry);
  };

  get waiting(): number {
    return this.#due.size;
  }

  pass(milliseconds: number): void {
    const end = this.now + milliseconds;
    while (true) {
      const [next] = [...this.#due].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#due.delete(next);
      this.now = next.at;
      next.callback();
    }
    this.now = end;
  }
}

describe("a gauge", () => {
  test("has a level for each use, from the highest of pool, process and system", () => {
    const level = (reading: PressureReading): [PressureLevel, string | undefined] => {
      const gauge = new PressureGauge();
      const event = gauge.update(reading);
      return [gauge.level, event?.cause];
    };
    expect(level(machine(0.69))).toEqual(["none", undefined]);
    expect(level(machine(0.71))).toEqual(["low", "system"]);
    expect(level(machine(0.81))).toEqual(["medium", "system"]);
    expect(level(machine(0.91))).toEqual(["high", "system"]);
    expect(level(machine(1))).toEqual(["critical", "system"]);
    expect(level(machine(0.1, { resident: 850 * MiB }))).toEqual(["medium", "process"]);
    const pool = { held: 96 * MiB, limit: 100 * MiB };
    expect(level({ ...machine(0.75), pool })).toEqual(["critical", "pool"]);
    // A control group is the whole world of its processes.
    const grouped = machine(0, { limit: 100 * MiB, available: 8 * MiB });
    expect(level(grouped)).toEqual(["high", "system"]);
    expect(level(machine(0, { available: 2000 * MiB }))).toEqual(["none", undefined]);
  });

  test("leaves a level only clearly below its threshold", () => {
    const gauge = new PressureGauge({ hysteresis: 0.05 });
    const levels = [0.79, 0.81, 0.79, 0.76, 0.81, 0.76, 0.74, 0.7, 0.66, 0.64].map((use) => {
      gauge.update(machine(use));
      return gauge.level;
    });
    expect(levels).toEqual([
      ...["low", "medium", "medium", "medium", "medium"],
      ...["medium", "low", "low", "low", "none"],
    ] as PressureLevel[]);
    gauge.update(machine(0.99));
    // A long way down at once stops where the hysteresis of a level in between holds.
    expect(gauge.update(machine(0.77))).toMatchObject({ level: "medium", previous: "critical" });
    expect(gauge.update(machine(0))).toMatchObject({ level: "none", previous: "medium" });
    expect(gauge.update(machine(0))).toBeUndefined();
  });

  test("refuses thresholds that do not rise, and a hysteresis beyond them", () => {
    expect(() => new PressureGauge({ thresholds: { low: 0.9 } })).toThrow("want rising");
    expect(() => new PressureGauge({ thresholds: { critical: 1.1 } })).toThrow("want rising");
    expect(() => new PressureGauge({ thresholds: { low: 0 } })).toThrow("want rising");
    expect(() => new PressureGauge({ hysteresis: 0.7 })).toThrow("hysteresis");
    expect(() => new PressureGauge({ hysteresis: Number.NaN })).toThrow("hysteresis");
  });
});

describe("a monitor", () => {
  const planted = (uses: (now: number) => number) => {
    const clock = new Clock();
    const looks: number[] = [];
    const monitor = new PressureMonitor({
      timer: clock.timer,
      read() {
        looks.push(clock.now);
        return machine(uses(clock.now));
      },
    });
    return { clock, looks, monitor };
  };

  test("looks oftener the worse it gets, and only while someone listens", () => {
    const { clock, looks, monitor } = planted((now) => (now < 10_000 ? 0 : 0.99));
    expect(clock.waiting).toBe(0);
    const events: PressureEvent[] = [];
    const listening = monitor.on((event) => events.push(event));
    clock.pass(11_000);
    expect(looks).toEqual([0, 5000, 10_000, 10_250, 10_500, 10_750, 11_000]);
    expect(events.map(({ level, previous }) => [previous, level])).toEqual([["none", "critical"]]);
    listening[Symbol.dispose]();
    listening[Symbol.dispose]();
    expect(monitor.running).toBe(false);
    clock.pass(60_000);
    expect([looks.length, clock.waiting]).toEqual([7, 0]);
    using again = monitor.on(() => {});
    expect(again).toBeDefined();
    clock.pass(0);
    expect(looks.length).toBe(8);
  });

  test("serves several listeners, and one that ends itself or throws harms no other", () => {
    const { clock, monitor } = planted((now) => (now % 2000 < 1000 ? 0.99 : 0));
    const heard: string[] = [];
    const once = monitor.on(() => {
      heard.push("once");
      once[Symbol.dispose]();
    });
    using angry = monitor.on(({ level }) => {
      heard.push(`angry ${level}`);
      if (heard.length === 2) throw new Error("angry");
    });
    using calm = monitor.on(({ level }) => heard.push(`calm ${level}`));
    expect([angry, calm].length).toBe(2);
    expect(() => clock.pass(0)).toThrow("angry");
    expect(monitor.running).toBe(true);
    clock.pass(6000);
    expect(heard.slice(0, 4)).toEqual(["once", "angry critical", "angry none", "calm none"]);
    expect(clock.waiting).toBe(1);
  });

  test("can be asked at any time", () => {
    const { clock, monitor } = planted((now) => now / 1000);
    expect(monitor.look()).toBe("none");
    clock.pass(920);
    expect([monitor.level, monitor.look(), monitor.level]).toEqual(["none", "high", "high"]);
  });
});
