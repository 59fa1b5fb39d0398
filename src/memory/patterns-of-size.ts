/** Patterns of what is held: a size that most blocks have, and devices near their limit. */
import { formatBytes } from "./format.ts";
import type { DeviceUse, Evidence, SizeCount } from "./pattern.ts";

/** From this part of its limit on a device is near it. */
const nearLimit = 0.8;
/** Blocks smaller than this are quick whatever their number. */
const worthReuse = 4096;

/**
 * One size that is most of all blocks that are large enough to matter, 4 KiB and more. Effect: its
 * share of them.
 */
export function findSizePatterns(sizes: readonly SizeCount[]): Evidence[] {
  const large = sizes.filter(({ size, count }) => size >= worthReuse && count > 0);
  const total = large.reduce((sum, { count }) => sum + count, 0);
  const [top] = [...large].sort((a, b) => b.count - a.count);
  if (!top) return [];
  return [
    {
      kind: "size",
      effect: top.count / total,
      samples: total,
      finding:
        `${top.count} of ${total} blocks of 4 KiB and more have one size: ` +
        `${formatBytes(top.size)}`,
      suggestion: "keep one such block and use it again, or allocate many of them as one",
    },
  ];
}

/** A device near its limit. Effect: from 0 at 80 % of the limit to 1 at 100 %. */
export function findDevicePatterns(devices: readonly DeviceUse[], samples: number): Evidence[] {
  return devices.flatMap(({ name, held, limit }) => {
    if (limit === null || held < nearLimit * limit) return [];
    const roomy = devices.find(
      (other) => other.name !== name && (other.limit === null || 2 * other.held < other.limit),
    );
    return [
      {
        kind: "device",
        effect: Math.min(1, (held / limit - nearLimit) / (1 - nearLimit)),
        samples,
        finding: `${name} holds ${formatBytes(held)} of ${formatBytes(limit)}`,
        suggestion: roomy
          ? `move what is not needed on ${name} to ${roomy.name}, which has room`
          : `raise the limit of ${name}, or clean up before it refuses`,
        setting: { name: "maxBytes", value: Math.ceil(1.25 * limit) },
      },
    ];
  });
}
