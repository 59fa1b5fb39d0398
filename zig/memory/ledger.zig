//! Bytes used by a whole pool and the most there were. Threads count for themselves and tell the
//! ledger by and by, so it is exact within about 64 KiB a thread.

const std = @import("std");
const Cache = @import("cache.zig").Cache;

pub const Ledger = struct {
    /// Negative for a moment when a free is told of before its allocation.
    published: std.atomic.Value(i64) = .init(0),
    peak: std.atomic.Value(u64) = .init(0),

    /// What a thread keeps to itself.
    pub const step = 64 << 10;

    /// On the cache's own thread.
    pub fn publish(ledger: *Ledger, cache: *Cache) void {
        const change = cache.unpublished;
        cache.unpublished = 0;
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
