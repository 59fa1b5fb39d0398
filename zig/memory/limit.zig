//! How much of a pool is handed out, in whole spans, units and mappings, and how much may be.

const std = @import("std");

const Counter = std.atomic.Value(u64);

pub const Limit = struct {
    max: Counter = .init(std.math.maxInt(u64)),
    held: Counter = .init(0),
    peak: Counter = .init(0),

    /// Takes `size` bytes of what is left; false when that is too little.
    pub fn take(limit: *Limit, size: u64) bool {
        const now = limit.held.fetchAdd(size, .monotonic) + size;
        if (now > limit.max.load(.monotonic)) {
            _ = limit.held.fetchSub(size, .monotonic);
            return false;
        }
        if (now > limit.peak.load(.monotonic)) _ = limit.peak.fetchMax(now, .monotonic);
        return true;
    }

    pub fn giveBack(limit: *Limit, size: u64) void {
        _ = limit.held.fetchSub(size, .monotonic);
    }
};

test "limit: refuses what would go over it and counts nothing for that" {
    var limit: Limit = .{ .max = .init(100) };
    try std.testing.expect(limit.take(60));
    try std.testing.expect(!limit.take(41));
    try std.testing.expect(limit.take(40));
    limit.giveBack(100);
    try std.testing.expectEqual(0, limit.held.raw);
    try std.testing.expectEqual(100, limit.peak.raw);
}
