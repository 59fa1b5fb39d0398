//! Copies what a pool knows into tables that cross the boundary: an array of one kind of entry,
//! cut to the room there is.

const std = @import("std");
const debugs = @import("debug.zig");
const hybrid = @import("hybrid.zig");
const pool_metrics = @import("pool_metrics.zig");
const timeline = @import("timeline.zig");
const Record = @import("tracking.zig").Record;

const HybridMemoryPool = hybrid.HybridMemoryPool;

/// What there is to read: entries of `ClassMetrics`, `Tag`, `Sample`, `Event`, `Record` (of live
/// blocks) and `Fault`.
pub const Table = enum(u32) { classes, tags, samples, events, blocks, faults };

/// Lifetimes are those of freed blocks, known from level `standard` up.
pub const Tag = extern struct {
    used: u64,
    live_count: u64,
    allocated_count: u64,
    ended_count: u64,
    lifetime_total_ns: u64,
    lifetime_max_ns: u64,
};

/// Fills `to` and tells how many entries there are in all. What the pool's level does not keep is
/// empty. `to` begins at a multiple of 8.
pub fn read(pool: *HybridMemoryPool, table: Table, to: []u8) u32 {
    const count = switch (table) {
        .classes => readClasses(pool, entriesOf(pool_metrics.ClassMetrics, to)),
        .tags => readTags(pool, entriesOf(Tag, to)),
        .samples => if (pool.watch) |watch| blk: {
            const entries = entriesOf(timeline.Sample, to);
            _ = watch.tracking.history.read(entries);
            break :blk watch.tracking.history.count;
        } else 0,
        .events => if (pool.watch) |watch| blk: {
            const entries = entriesOf(timeline.Event, to);
            const ring = &watch.tracking.ring;
            if (entries.len == 0) break :blk @min(ring.written.load(.monotonic), ring.entries.len);
            break :blk ring.read(entries);
        } else 0,
        .blocks => if (pool.watch) |watch|
            watch.tracking.copyLive(entriesOf(Record, to))
        else
            0,
        .faults => readFaults(pool, entriesOf(debugs.Fault, to)),
    };
    return @intCast(@min(count, std.math.maxInt(u32)));
}

fn entriesOf(comptime T: type, to: []u8) []T {
    const count = to.len / @sizeOf(T);
    return @as([*]T, @ptrCast(@alignCast(to.ptr)))[0..count];
}

fn readClasses(pool: *HybridMemoryPool, to: []pool_metrics.ClassMetrics) usize {
    var classes: [pool_metrics.class_count]pool_metrics.ClassMetrics = undefined;
    pool_metrics.readClasses(pool, &classes);
    return copy(pool_metrics.ClassMetrics, to, &classes);
}

fn readTags(pool: *HybridMemoryPool, to: []Tag) usize {
    var counted: [hybrid.tag_count]pool_metrics.TagMetrics = undefined;
    pool_metrics.readTags(pool, &counted);
    var tags: [hybrid.tag_count]Tag = undefined;
    for (&tags, &counted, 0..) |*tag, of_tag, number| {
        tag.* = std.mem.zeroes(Tag);
        tag.used = of_tag.used;
        tag.live_count = of_tag.live_count;
        tag.allocated_count = of_tag.allocated_count;
        const watch = pool.watch orelse continue;
        const lifetimes = watch.tracking.lifetimesOf(number);
        tag.ended_count = lifetimes.count;
        tag.lifetime_total_ns = lifetimes.total_ns;
        tag.lifetime_max_ns = lifetimes.max_ns;
    }
    return copy(Tag, to, &tags);
}

fn readFaults(pool: *HybridMemoryPool, to: []debugs.Fault) usize {
    const watch = pool.watch orelse return 0;
    const debug = if (watch.debug) |*debug| debug else return 0;
    _ = debug.copyFaults(to);
    return @intCast(@min(debug.fault_count.load(.monotonic), debug.faults.len));
}

fn copy(comptime T: type, to: []T, from: []const T) usize {
    const count = @min(to.len, from.len);
    @memcpy(to[0..count], from[0..count]);
    return from.len;
}

test "pool tables: entries are cut to the room, and the count tells of all" {
    const pool: *HybridMemoryPool = try .create(.{ .level = .standard });
    defer pool.destroy();
    const tag = try pool.tag("weights");
    for (0..3) |_| _ = try pool.allocate(.{ .size = 100, .tag = tag });
    var bytes: [2 * @sizeOf(Record)]u8 align(8) = undefined;
    try std.testing.expectEqual(3, read(pool, .blocks, &bytes));
    try std.testing.expectEqual(3, read(pool, .events, bytes[0..0]));
    try std.testing.expectEqual(hybrid.tag_count, read(pool, .tags, bytes[0..0]));
    const records = entriesOf(Record, &bytes);
    try std.testing.expectEqual(100, records[1].size);
    try std.testing.expectEqual(@intFromEnum(tag), records[0].tag);
}
