//! The system refuses, at every single call in turn and for good from there on: an error comes
//! back, nothing leaks, and the pool is good again once memory is. Likewise for the limit.

const std = @import("std");
const Faulty = @import("source.zig").Faulty;
const hybrid = @import("hybrid.zig");
const metrics = @import("pool_metrics.zig");

const HybridMemoryPool = hybrid.HybridMemoryPool;

const mib = 1 << 20;
const sizes = [_]usize{ 40, 5000, 200_000, 900_000, mib, 3 * mib, 20 * mib, 64 * mib, 70 * mib };

/// Some of everything; gives how many allocations were refused.
fn exercise(faulty: *Faulty, options: hybrid.Options) !u32 {
    var given = options;
    given.source = faulty.source();
    given.meta_source = faulty.source();
    const pool = HybridMemoryPool.create(given) catch |err| {
        try std.testing.expectEqual(error.OutOfMemory, err);
        return 1;
    };
    var refused: u32 = 0;
    var blocks: [sizes.len * 2]?[]u8 = @splat(null);
    for (0..3) |_| {
        for (&blocks, 0..) |*block, index| {
            const size = sizes[index % sizes.len] + index;
            const request: hybrid.Request = .{ .size = size, .zeroed = index % 2 == 0 };
            block.* = pool.allocate(request) catch |err| {
                try std.testing.expectEqual(error.OutOfMemory, err);
                refused += 1;
                continue;
            };
            block.*.?[0] = 1;
            block.*.?[size - 1] = 1;
        }
        for (&blocks) |*block| {
            if (block.*) |memory| try pool.free(memory, .untagged);
            block.* = null;
        }
    }
    try std.testing.expectEqual(0, metrics.read(pool).live_count);
    try std.testing.expectEqual(0, metrics.read(pool).used);
    try std.testing.expect(pool.close());
    try std.testing.expectEqual(0, faulty.mapped.raw);
    return refused;
}

fn failEverywhere(fail_after: bool, options: hybrid.Options) !void {
    var fail_at: u64 = 0;
    var refused_in_all: u32 = 0;
    while (true) : (fail_at += 1) {
        errdefer std.debug.print("call {d}, debug {}\n", .{ fail_at, options.debug });
        var faulty: Faulty = .{ .fail_at = fail_at, .fail_after = fail_after };
        refused_in_all += try exercise(&faulty, options);
        try std.testing.expectEqual(0, faulty.mapped.raw);
        if (faulty.calls.raw <= fail_at) break;
    }
    try std.testing.expect(fail_at > 5 and refused_in_all > 0);
}

test "failure: a refusal at any call of the system leaves nothing behind" {
    for ([_]bool{ false, true }) |fail_after| {
        try failEverywhere(fail_after, .{});
        try failEverywhere(fail_after, .{ .level = .standard });
        try failEverywhere(fail_after, .{ .debug = true });
    }
}

test "failure: a pool at its limit refuses, and works on once something is freed" {
    const pool: *HybridMemoryPool = try .create(.{ .size_max = 40 << 20 });
    var blocks: [4000][]u8 = undefined;
    for (sizes[0..6]) |size| {
        var count: usize = 0;
        while (count < blocks.len) : (count += 1) {
            blocks[count] = pool.allocate(.{ .size = size }) catch |err| {
                try std.testing.expectEqual(error.LimitReached, err);
                break;
            };
        }
        const now = metrics.read(pool);
        try std.testing.expect(now.held <= 40 << 20);
        if (size >= 200_000) try std.testing.expect(now.used > 32 << 20);
        const half = count / 2;
        for (blocks[half..count]) |block| try pool.free(block, .untagged);
        const again = try pool.allocate(.{ .size = 10 << 20 });
        try pool.free(again, .untagged);
        for (blocks[0..half]) |block| try pool.free(block, .untagged);
    }
    try std.testing.expectEqual(0, metrics.read(pool).used);
    try std.testing.expect(pool.close());
}

const Cache = struct {
    pool: *HybridMemoryPool,
    block: ?[]u8,
    asked: u64 = 0,

    fn reclaim(context: ?*anyopaque, size: u64) bool {
        const cache: *Cache = @ptrCast(@alignCast(context.?));
        cache.asked = size;
        const block = cache.block orelse return false;
        cache.block = null;
        cache.pool.free(block, .untagged) catch return false;
        return true;
    }
};

test "failure: the reclaimer is asked before an allocation fails" {
    var cache: Cache = .{ .pool = undefined, .block = null };
    const pool: *HybridMemoryPool = try .create(.{
        .size_max = 16 << 20,
        .reclaimer = .{ .context = &cache, .reclaim = Cache.reclaim },
    });
    cache.pool = pool;
    cache.block = try pool.allocate(.{ .size = 12 << 20 });
    const block = try pool.allocate(.{ .size = 8 << 20 });
    try std.testing.expectEqual(null, cache.block);
    try std.testing.expectEqual(8 << 20, cache.asked);
    try std.testing.expectError(error.LimitReached, pool.allocate(.{ .size = 9 << 20 }));
    try std.testing.expectEqual(1, metrics.read(pool).refused_count);
    try pool.free(block, .untagged);
    try std.testing.expect(pool.close());
}
