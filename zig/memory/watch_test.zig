//! What a watched pool tells: faults of its users in debug mode, leaks at its close, the timeline.

const std = @import("std");
const debugs = @import("debug.zig");
const hybrid = @import("hybrid.zig");
const metrics = @import("pool_metrics.zig");
const timeline = @import("timeline.zig");
const tracks = @import("tracking.zig");

const HybridMemoryPool = hybrid.HybridMemoryPool;

test "watch: double frees, foreign pointers and wrong sizes are errors" {
    const pool: *HybridMemoryPool = try .create(.{ .debug = true });
    for ([_]usize{ 10, 5000, 2 << 20 }) |size| {
        const block = try pool.allocate(.{ .size = size, .alignment = 64 });
        try std.testing.expectEqual(0, @intFromPtr(block.ptr) % 64);
        try std.testing.expectError(error.WrongSize, pool.free(block[0 .. size - 1], .untagged));
        try std.testing.expectError(error.ForeignPointer, pool.free(block[1..], .untagged));
        try pool.free(block, .untagged);
        try std.testing.expectError(error.DoubleFree, pool.free(block, .untagged));
    }
    var own: [64]u8 = undefined;
    try std.testing.expectError(error.ForeignPointer, pool.free(&own, .untagged));
    try std.testing.expectEqual(10, metrics.read(pool).fault_count);
    try std.testing.expect(pool.close());
}

test "watch: foreign large blocks are refused by any pool, foreign small ones by records" {
    const plain: *HybridMemoryPool = try .create(.{});
    const tracked: *HybridMemoryPool = try .create(.{ .level = .standard });
    const large = try plain.allocate(.{ .size = 2 << 20 });
    const small = try plain.allocate(.{ .size = 100 });
    const direct = try plain.allocate(.{ .size = 65 << 20 });
    for ([_][]u8{ large, small, direct }) |block| {
        try std.testing.expectError(error.ForeignPointer, tracked.free(block, .untagged));
        try plain.free(block, .untagged);
    }
    try std.testing.expectError(error.ForeignPointer, plain.free(large, .untagged));
    try std.testing.expectError(error.ForeignPointer, plain.free(direct, .untagged));
    try std.testing.expect(plain.close() and tracked.close());
}

test "watch: writes past the ends and after the free are found" {
    const pool: *HybridMemoryPool = try .create(.{ .debug = true });
    const before = try pool.allocate(.{ .size = 100 });
    (before.ptr - 1)[0] = 0;
    try std.testing.expectError(error.GuardDamaged, pool.free(before, .untagged));
    const after = try pool.allocate(.{ .size = 100 });
    after.ptr[100] = 0;
    try std.testing.expectEqual(1, pool.watch.?.validate());
    try std.testing.expectError(error.GuardDamaged, pool.free(after, .untagged));
    const late = try pool.allocate(.{ .size = 100 });
    try pool.free(late, .untagged);
    late[50] = 1;
    pool.trim();

    var faults: [8]debugs.Fault = undefined;
    const count = pool.watch.?.debug.?.copyFaults(&faults);
    try std.testing.expectEqual(4, count);
    const want = [_]debugs.FaultKind{
        .written_before_start,
        .written_past_end,
        .written_past_end,
        .written_after_free,
    };
    for (faults[0..count], want) |fault, kind| try std.testing.expectEqual(kind, fault.kind);
    try std.testing.expectEqual(@intFromPtr(late.ptr), faults[3].address);
    try std.testing.expect(pool.close());
}

test "watch: a pool closed with live blocks says which, and ends when they are freed" {
    const pool: *HybridMemoryPool = try .create(.{ .level = .detailed });
    const tag = try pool.tag("kv");
    const label = try pool.label("session.ts:30");
    const kept = try pool.allocate(.{ .size = 5000, .tag = tag, .label = label });
    const other = try pool.allocate(.{ .size = 3 << 20 });
    try pool.free(other, .untagged);
    try std.testing.expect(!pool.close());
    try std.testing.expectError(error.PoolClosed, pool.allocate(.{ .size = 1 }));

    var records: [4]tracks.Record = undefined;
    try std.testing.expectEqual(1, pool.watch.?.tracking.copyLive(&records));
    try std.testing.expectEqual(5000, records[0].size);
    try std.testing.expectEqualStrings("kv", pool.tags.of(records[0].tag));
    try std.testing.expectEqualStrings("session.ts:30", pool.labels.of(records[0].label));
    try std.testing.expect(records[0].return_address != 0 and records[0].thread != 0);
    kept[4999] = 1;
    try pool.free(kept, tag);
    try std.testing.expect(pool.close());
}

test "watch: the timeline has what happened, and lifetimes count by tag" {
    const pool: *HybridMemoryPool = try .create(.{ .level = .standard, .size_max = 8 << 20 });
    const tag = try pool.tag("scratch");
    const block = try pool.allocate(.{ .size = 300, .tag = tag });
    try pool.free(block, tag);
    try std.testing.expectError(error.LimitReached, pool.allocate(.{ .size = 9 << 20 }));
    var events: [10]timeline.Event = undefined;
    try std.testing.expectEqual(3, pool.watch.?.tracking.ring.read(&events));
    try std.testing.expectEqual(timeline.EventKind.allocate, events[0].kind);
    try std.testing.expectEqual(timeline.EventKind.free, events[1].kind);
    try std.testing.expectEqual(events[0].address, events[1].address);
    try std.testing.expectEqual(timeline.EventKind.refuse, events[2].kind);
    try std.testing.expect(events[0].time_ns <= events[2].time_ns);
    try std.testing.expectEqual(1, pool.watch.?.tracking.lifetimesOf(@intFromEnum(tag)).count);
    try std.testing.expect(pool.close());
}

test "watch: a plain pool closed with live blocks waits for them too" {
    const pool: *HybridMemoryPool = try .create(.{});
    const block = try pool.allocate(.{ .size = 64 });
    try std.testing.expect(!pool.close());
    try std.testing.expectError(error.PoolClosed, pool.allocate(.{ .size = 1 }));
    block[0] = 1;
    try pool.free(block, .untagged);
    try std.testing.expect(pool.close());
}
