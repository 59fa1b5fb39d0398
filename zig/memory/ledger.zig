//! Bytes used by a whole pool and the most there were. Threads count for themselves, by tag, and
//! tell the ledger when they leave their fast path and the sum has changed enough: it is exact
//! within 64 KiB a thread and what lies ready in the spans it allocates from.

const std = @import("std");
const Cache = @import("cache.zig").Cache;

pub const Ledger = struct {
    /// Negative for a moment when a free is told of before its allocation.
    published: std.atomic.Value(i64) = .init(0),
    peak: std.atomic.Value(u64) = .init(0),
    /// Of the pool's tags: those that may have been counted under.
    tag_count: *const std.atomic.Value(u32) = &untagged_alone,

    /// What a thread keeps to itself.
    const step = 64 << 10;
    const untagged_alone: std.atomic.Value(u32) = .init(1);

    /// On the cache's own thread.
    pub fn tell(ledger: *Ledger, cache: *Cache) void {
        var now: u64 = 0;
        for (cache.tags[0..ledger.tag_count.load(.monotonic)]) |*of_tag| now +%= of_tag.size;
        const change = @as(i64, @bitCast(now)) -% cache.told;
        if (change > -step and change < step) return;
        cache.told +%= change;
        const used = ledger.published.fetchAdd(change, .monotonic) + change;
        if (used > 0) ledger.notePeak(@intCast(used));
    }

    pub fn notePeak(ledger: *Ledger, used: u64) void {
        if (used > ledger.peak.load(.monotonic)) _ = ledger.peak.fetchMax(used, .monotonic);
    }

    pub fn usedNow(ledger: *const Ledger) u64 {
        return @intCast(@max(0, ledger.published.load(.monotonic)));
    }
};
