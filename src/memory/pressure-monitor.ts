/**
 * Looks at memory again and again, the oftener the nearer its end is, and tells its listeners of
 * each new level. It never keeps the process alive, and looks only while someone listens.
 */
import {
  type PressureEvent,
  PressureGauge,
  type PressureLevel,
  type PressureOptions,
  type PressureReading,
} from "./pressure.ts";

/** Milliseconds until the next look, by level. */
export const pressureIntervals: Record<PressureLevel, number> = {
  none: 5000,
  low: 2000,
  medium: 1000,
  high: 500,
  critical: 250,
};

/** Calls back once after some milliseconds unless it is cancelled by what it returns. */
export type Timer = (callback: () => void, milliseconds: number) => () => void;

export interface MonitorOptions extends PressureOptions {
  read: () => PressureReading;
  timer?: Timer;
}

export type PressureListener = (event: PressureEvent) => void;
/** Called after every look, whether the level changed or not. */
export type LookListener = (level: PressureLevel) => void;

export class PressureMonitor {
  readonly #read: () => PressureReading;
  readonly #timer: Timer;
  readonly #gauge: PressureGauge;
  readonly #listeners = new Set<PressureListener>();
  readonly #lookListeners = new Set<LookListener>();
  #cancel: (() => void) | undefined;

  constructor({ read, timer = quietTimer, ...options }: MonitorOptions) {
    this.#read = read;
    this.#timer = timer;
    this.#gauge = new PressureGauge(options);
  }

  /** As of the last look. */
  get level(): PressureLevel {
    return this.#gauge.level;
  }

  /** Whether it looks by itself just now. */
  get running(): boolean {
    return this.#cancel !== undefined;
  }

  /** Tells `listener` of each new level until what this returns is called or disposed of. */
  on(listener: PressureListener): Disposable {
    return this.#add(this.#listeners, listener);
  }

  /** Tells `listener` after every look. */
  onLook(listener: LookListener): Disposable {
    return this.#add(this.#lookListeners, listener);
  }

  /** Looks now, tells the listeners, and returns the level. */
  look(): PressureLevel {
    const event = this.#gauge.update(this.#read());
    if (event) for (const listener of [...this.#listeners]) listener(event);
    for (const listener of [...this.#lookListeners]) listener(this.level);
    return this.level;
  }

  #add<L>(listeners: Set<L>, listener: L): Disposable {
    listeners.add(listener);
    if (!this.#cancel) this.#schedule(0);
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (this.#listeners.size + this.#lookListeners.size === 0) this.#pause();
      },
    };
  }

  #pause(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(milliseconds: number): void {
    this.#cancel = this.#timer(() => {
      // Before the listeners: one that throws, or ends its own listening, finds all in order.
      this.#schedule(pressureIntervals[this.level]);
      const before = this.level;
      this.look();
      if (this.level === before || !this.#cancel) return;
      this.#cancel();
      this.#schedule(pressureIntervals[this.level]);
    }, milliseconds);
  }
}

function quietTimer(callback: () => void, milliseconds: number): () => void {
  const timer = setTimeout(callback, milliseconds);
  timer.unref();
  return () => clearTimeout(timer);
}
