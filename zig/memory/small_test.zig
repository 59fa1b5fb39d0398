//! The small-block allocator alone: what the fast paths, the hand-over between threads and the
//! rescue of ended threads promise.

const std = @import("std");
const Buddy = @import("buddy.zig").Buddy;
const Cache = @import("cache.zig").Cache;
const Faulty = @import("source.zig").Faulty;
const Limit = @import("limit.zig").Limit;
const Meta = @import("meta.zig").Meta;
const os = @import("../threads/os.zig");
const size_class = @import("size_class.zig");
const Small = @import("small.zig").Small;

const Fixture = struct {
    faulty: Faulty = .{},
    meta: Meta = undefined,
    limit: Limit = .{},
    buddy: Buddy = undefined,
    small: Small = undefined,

    fn start(fixture: *Fixture) !void {
        fixture.meta = .{ .source = fixture.faulty.source() };
        fixture.buddy = try Buddy.init(fixture.faulty.source(), &fixture.meta, .{});
        try fixture.small.init(&fixture.meta, &fixture.buddy, &fixture.limit);
    }

    fn end(fixture: *Fixture) !void {
        fixture.small.trim();
        fixture.buddy.purge();
        try std.testing.expectEqual(0, fixture.limit.held.raw);
        try std.testing.expectEqual(0, fixture.buddy.span_units.raw);
        fixture.small.deinit();
        fixture.buddy.deinit();
        fixture.meta.deinit();
        try std.testing.expectEqual(0, fixture.faulty.mapped.raw);
    }
};

test "small: blocks of every class are apart and go back to nothing" {
    var fixture: Fixture = .{};
    try fixture.start();
    const cache = fixture.small.ownCache().?;
    var blocks: [size_class.count][20][*]u8 = undefined;
    for (&blocks, 0..) |*of_class, class| {
        for (of_class, 0..) |*block, index| {
            block.* = cache.allocate(@intCast(class)).?;
            @memset(block.*[0..size_class.sizeOf(@intCast(class))], @intCast(index + class));
        }
    }
    for (blocks, 0..) |of_class, class| {
        for (of_class, 0..) |block, index| {
            const size = size_class.sizeOf(@intCast(class));
            try std.testing.expectEqual(@as(u8, @intCast(index + class)), block[0]);
            try std.testing.expectEqual(@as(u8, @intCast(index + class)), block[size - 1]);
            cache.free(block);
        }
    }
    try fixture.end();
}

test "small: a block is used again before new memory is touched" {
    var fixture: Fixture = .{};
    try fixture.start();
    const cache = fixture.small.ownCache().?;
    for ([_]size_class.Class{ 3, 60, size_class.count - 1 }) |class| {
        const first = cache.allocate(class).?;
        cache.free(first);
        const held = fixture.limit.held.raw;
        for (0..100) |_| {
            const again = cache.allocate(class).?;
            try std.testing.expectEqual(first, again);
            cache.free(again);
        }
        try std.testing.expectEqual(held, fixture.limit.held.raw);
    }
    try fixture.end();
}

const Worker = struct {
    small: *Small,
    blocks: [3000][*]u8 = undefined,
    class: size_class.Class,
    reused: bool = false,

    fn allocate(worker: *Worker) void {
        const cache = worker.small.ownCache().?;
        for (&worker.blocks) |*block| block.* = cache.allocate(worker.class).?;
    }

    fn claim(worker: *Worker) void {
        worker.reused = worker.small.ownCache() != null;
    }

    fn runOn(worker: *Worker, comptime body: fn (*Worker) void) !void {
        const thread = try os.Thread.spawn(Worker, worker, body);
        thread.join();
    }
};

test "small: what an ended thread left is taken home while others free it" {
    var fixture: Fixture = .{};
    try fixture.start();
    var worker: Worker = .{ .small = &fixture.small, .class = size_class.of(16 << 10) };
    try worker.runOn(Worker.allocate);
    const held = fixture.limit.held.raw;
    const own = fixture.small.ownCache().?;
    for (worker.blocks) |block| own.free(block);
    try std.testing.expect(fixture.limit.held.raw < held / 2);
    try fixture.end();
}

test "small: a new thread gets the cache of an ended one" {
    var fixture: Fixture = .{};
    try fixture.start();
    _ = fixture.small.ownCache().?;
    var worker: Worker = .{ .small = &fixture.small, .class = 5 };
    try worker.runOn(Worker.allocate);
    const count = cacheCount(&fixture.small);
    for (0..20) |_| try worker.runOn(Worker.claim);
    try std.testing.expect(worker.reused);
    try std.testing.expectEqual(count, cacheCount(&fixture.small));
    for (worker.blocks) |block| fixture.small.ownCache().?.free(block);
    try fixture.end();
}

fn cacheCount(small: *Small) usize {
    var count: usize = 0;
    var next = small.caches.load(.acquire);
    while (next) |cache| : (next = cache.next) count += 1;
    return count;
}

test "small: the limit refuses, and frees make room" {
    var fixture: Fixture = .{};
    fixture.limit.max = .init(1 << 20);
    try fixture.start();
    const cache = fixture.small.ownCache().?;
    const class = size_class.of(60_000);
    var blocks: [32][*]u8 = undefined;
    var count: usize = 0;
    while (cache.allocate(class)) |block| : (count += 1) blocks[count] = block;
    try std.testing.expect(count >= 8 and count < blocks.len);
    for (blocks[0..count]) |block| cache.free(block);
    cache.free(cache.allocate(class).?);
    fixture.small.trim();
    const other = cache.allocate(size_class.of(100));
    try std.testing.expect(other != null);
    cache.free(other.?);
    try fixture.end();
}
