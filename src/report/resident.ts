/** How much physical memory the process has held at most, mapped files included. */
import { readFileSync } from "node:fs";

/**
 * The peak so far, in bytes; it never falls. Linux counts it in pages for each process; elsewhere
 * the system's own record of it is asked.
 */
export function peakResidentBytes(): number {
  if (process.platform === "linux") {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
    if (line) return Number(line[1]) * 1024;
  }
  const { maxRSS } = process.resourceUsage();
  // Kilobytes on most systems, bytes on macOS: in bytes a peak is at least what is resident now.
  return maxRSS >= process.memoryUsage.rss() ? maxRSS : maxRSS * 1024;
}
