/**
 * Patterns of a series of samples: growth that looks like a leak, waves, bursts, and growing
 * fragmentation. Each needs enough samples to be more than an accident; fewer give nothing.
 */
import { formatBytes, formatDuration } from "./format.ts";
import type { Evidence, UseSample } from "./pattern.ts";
import {
  autocorrelation,
  detrend,
  deviation,
  mean,
  resample,
  risingShare,
  windows,
} from "./series.ts";

const samplesMin = 16;
const windowCount = 8;
/** Growth over the whole time, as a part of the level, that counts in full. */
const growthForFull = 0.2;
const gridSize = 256;
const periodsMin = 3;
/** Autocorrelation below which there is no period, so that there may be bursts. */
const periodMin = 0.5;
const burstsMin = 3;

/**
 * Growth of the floor: the least use in each of eight windows rises, over all and in the later half
 * too (so that a loading at the start is none). Effect: Kendall's tau of the floors, the smaller of
 * both, times the growth over 20 % of the last floor or the mean use, whichever is more, at most 1.
 */
export function findLeak(samples: readonly UseSample[]): Evidence | undefined {
  if (samples.length < samplesMin) return undefined;
  const used = samples.map((sample) => sample.used);
  const floors = windows(used, windowCount, (part) => Math.min(...part));
  const late = floors.slice(windowCount / 2);
  const last = floors.at(-1)!;
  const growth = last - late[0]!;
  const tau = Math.min(risingShare(floors), risingShare(late));
  if (tau <= 0 || growth <= 0) return undefined;
  const whole = Math.max(last - floors[0]!, growth);
  const seconds = ((samples.at(-1)!.time - samples[0]!.time) * (late.length - 1)) / windowCount;
  return {
    kind: "leak",
    effect: tau * Math.min(1, whole / Math.max(last, mean(used)) / growthForFull),
    samples: samples.length,
    finding:
      `what is used at least has grown from ${formatBytes(floors[0]!)} to ${formatBytes(last)}, ` +
      `lately by ${formatBytes((growth / seconds) * 60)} a minute`,
    suggestion:
      "look in the report for the tag that grows and for the oldest live blocks, and free them " +
      "with `using` or a scope; tracking at level standard names where they were allocated",
    setting: { name: "level", value: "standard" },
  };
}

/**
 * Waves: the use without its trend resembles itself one period later. Effect: the autocorrelation
 * at the period, the first peak behind a fall below 0.2, at least three periods within the time.
 */
export function findPeriod(samples: readonly UseSample[]): Evidence | undefined {
  if (samples.length < 2 * samplesMin) return undefined;
  const grid = Math.min(gridSize, samples.length);
  const points = samples.map(({ time, used }) => ({ time, value: used }));
  const waves = detrend(resample(points, grid));
  // A ripple on a high level is no wave worth a setting.
  if (deviation(waves) < 0.02 * mean(points.map(({ value }) => value))) return undefined;
  const lags = Array.from({ length: Math.floor(grid / periodsMin) }, (_, lag) =>
    autocorrelation(waves, lag),
  );
  const fall = lags.findIndex((value) => value < 0.2);
  if (fall < 0) return undefined;
  const peak = Math.max(...lags.slice(fall));
  if (peak < periodMin) return undefined;
  // The first lag that is as good as the best: later ones are multiples of the period.
  const lag = lags.findIndex((value, index) => index >= fall && value >= 0.95 * peak);
  const span = samples.at(-1)!.time - samples[0]!.time;
  const period = (lag * span) / (grid - 1);
  const swing = Math.max(...waves) - Math.min(...waves);
  return {
    kind: "periodic",
    effect: peak,
    samples: grid,
    finding: `use swings by ${formatBytes(swing)} every ${formatDuration(period)}`,
    suggestion:
      `let the pool keep ${formatBytes(swing)} of freed memory, so that each wave finds it there ` +
      "and need not ask the system",
    setting: { name: "idleBytesMax", value: Math.ceil(swing) },
  };
}

/**
 * Bursts: a few steps make most of the growth. Effect: the burstiness (s - m) / (s + m) of growth
 * per step, of mean m and standard deviation s; at least three steps must stand out by 2 s.
 */
// Source: Goh and Barabasi, "Burstiness and memory in complex systems", EPL 81 (2008).
export function findBursts(samples: readonly UseSample[]): Evidence | undefined {
  if (samples.length < 2 * samplesMin) return undefined;
  const growth = samples
    .slice(1)
    .map(({ used }, index) => Math.max(0, used - samples[index]!.used));
  const center = mean(growth);
  const spread = deviation(growth);
  const level = mean(samples.map(({ used }) => used));
  const bursts = growth.filter((value) => value > center + 2 * spread && value > 0.02 * level);
  if (bursts.length < burstsMin) return undefined;
  const size = mean(bursts);
  return {
    kind: "bursty",
    effect: Math.max(0, (spread - center) / (spread + center)),
    samples: samples.length,
    finding:
      `${bursts.length} bursts of ${formatBytes(size)} on average make most of the growth of ` +
      `${samples.length} steps`,
    suggestion:
      "allocate what comes in bursts at once (one block, or a scope), or do it in smaller " +
      `batches; with a limit, leave ${formatBytes(Math.max(...bursts))} of room`,
  };
}

/**
 * Growing fragmentation: the share of what is held that is not used, 1 - used / held, rises.
 * Effect: Kendall's tau of its mean in eight windows, the smaller of all and the later half, times
 * the rise over 0.2, at most 1.
 */
export function findFragmentationTrend(samples: readonly UseSample[]): Evidence | undefined {
  const kept = samples.filter(({ held }) => held > 0);
  if (kept.length < samplesMin) return undefined;
  const shares = windows(
    kept.map(({ used, held }) => Math.max(0, 1 - used / held)),
    windowCount,
    mean,
  );
  const late = shares.slice(windowCount / 2);
  const rise = shares.at(-1)! - shares[0]!;
  const tau = Math.min(risingShare(shares), risingShare(late));
  if (tau <= 0 || rise <= 0) return undefined;
  return {
    kind: "fragmentation",
    effect: tau * Math.min(1, rise / growthForFull),
    samples: kept.length,
    finding:
      `${percent(shares.at(-1)!)} of what the pool holds is not used, ` +
      `${percent(rise)} more than at first`,
    suggestion:
      "allocate what lives long first and together, what lives short in scopes, and call trim() " +
      "when a phase ends",
    setting: { name: "idleBytesMax", value: 0 },
  };
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
