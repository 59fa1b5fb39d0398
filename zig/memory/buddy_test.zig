//! The buddy allocator alone.

const std = @import("std");
const Buddy = @import("buddy.zig").Buddy;
const buddies = @import("buddy.zig");
const Faulty = @import("source.zig").Faulty;
const Meta = @import("meta.zig").Meta;

const Fixture = struct {
    faulty: Faulty = .{},
    meta: Meta = undefined,
    buddy: Buddy = undefined,

    fn start(fixture: *Fixture, options: Buddy.Options) !void {
        fixture.meta = .{ .source = fixture.faulty.source() };
        fixture.buddy = try Buddy.init(fixture.faulty.source(), &fixture.meta, options);
    }

    fn end(fixture: *Fixture) !void {
        fixture.buddy.deinit();
        fixture.meta.deinit();
        try std.testing.expectEqual(0, fixture.faulty.mapped.raw);
    }
};

test "buddy: blocks do not overlap, coalesce, and leave no arena behind" {
    var fixture: Fixture = .{};
    try fixture.start(.{});
    const buddy = &fixture.buddy;
    var blocks: [200]?[]u8 = @splat(null);
    var prng: std.Random.DefaultPrng = .init(11);
    const random = prng.random();
    for (0..4_000) |_| {
        const slot = random.uintLessThan(usize, blocks.len);
        if (blocks[slot]) |block| {
            try std.testing.expectEqual(slot, block[0]);
            try std.testing.expectEqual(slot, block[block.len - 1]);
            const held = std.mem.alignForward(usize, block.len, buddies.unit_size);
            try std.testing.expectEqual(held, buddy.free(block.ptr));
            try std.testing.expectEqual(null, buddy.free(block.ptr));
            blocks[slot] = null;
        } else {
            const power = @as(usize, 1) << random.intRangeAtMost(u5, 16, 25);
            const size = @min(power + random.uintLessThan(usize, power), buddies.block_size_max);
            const zeroed = random.boolean();
            const memory = buddy.allocate(size, .{ .zeroed = zeroed, .sparse = size % 3 == 0 }).?;
            if (zeroed) try std.testing.expectEqual(0, memory[0] | memory[size / 2]);
            memory[0] = @intCast(slot);
            memory[size / 2] = 255;
            memory[size - 1] = @intCast(slot);
            blocks[slot] = memory[0..size];
        }
    }
    for (blocks) |block| if (block) |live| {
        _ = buddy.free(live.ptr);
    };
    try std.testing.expectEqual(0, buddy.block_units.raw);
    buddy.purge();
    try std.testing.expectEqual(0, buddy.idle_units.raw);
    try std.testing.expectEqual(0, buddy.mapped_count.raw);
    try fixture.end();
}

test "buddy: a block leaves its neighbours to others of any size" {
    var fixture: Fixture = .{};
    try fixture.start(.{});
    const buddy = &fixture.buddy;
    var count: usize = 0;
    while (buddy.mapped_count.raw < 2) : (count += 1) _ = buddy.allocate(1_300_000, .{}).?;
    // Side by side to the last unit: 20 of 64 KiB each.
    try std.testing.expectEqual(1022 / 20 + 1, count);
    try fixture.end();
}

test "buddy: idle memory stays within its bound, and sparse blocks have none" {
    var fixture: Fixture = .{};
    try fixture.start(.{ .idle_size_max = 8 << 20 });
    const buddy = &fixture.buddy;
    const keep = buddy.allocate(1 << 20, .{}).?;
    const large = buddy.allocate(16 << 20, .{}).?;
    @memset(large[0 .. 16 << 20], 1);
    _ = buddy.free(large);
    try std.testing.expect(buddy.idle_units.raw * buddies.unit_size <= 8 << 20);
    const again = buddy.allocate(16 << 20, .{ .zeroed = true }).?;
    try std.testing.expect(std.mem.allEqual(u8, again[0 .. 16 << 20], 0));
    const idle = buddy.idle_units.raw;
    _ = buddy.free(again);
    const sparse = buddy.allocate(16 << 20, .{ .sparse = true }).?;
    try std.testing.expect(std.mem.allEqual(u8, sparse[0 .. 16 << 20], 0));
    try std.testing.expectEqual(idle, buddy.idle_units.raw);
    _ = buddy.free(sparse);
    _ = buddy.free(keep);
    try fixture.end();
}

test "buddy: a refused page leaves it as it was" {
    var fixture: Fixture = .{};
    try fixture.start(.{});
    const buddy = &fixture.buddy;
    // Mapping an arena, its header, the block.
    for (0..3) |call| {
        fixture.faulty.fail_at = fixture.faulty.calls.raw + call;
        try std.testing.expectEqual(null, buddy.allocate(1 << 20, .{}));
        try std.testing.expectEqual(0, buddy.block_units.raw);
    }
    try std.testing.expect(buddy.allocate(buddies.block_size_max, .{}) != null);
    try std.testing.expectEqual(1022, buddy.block_units.raw);
    try fixture.end();
}

test "buddy: what is no block's start is not freed" {
    var fixture: Fixture = .{};
    try fixture.start(.{});
    const buddy = &fixture.buddy;
    const block = buddy.allocate(2 << 20, .{}).?;
    const span = buddy.allocate(64 << 10, .{ .span = true }).?;
    try std.testing.expectEqual(null, buddy.free(block + 1));
    try std.testing.expectEqual(null, buddy.free(block + buddies.unit_size));
    try std.testing.expectEqual(null, buddy.free(span));
    try std.testing.expectEqual(null, buddy.free(@ptrFromInt(4096)));
    try std.testing.expectEqual(2 << 20, buddy.free(block));
    buddy.freeSpan(span);
    try std.testing.expectEqual(0, buddy.span_units.raw);
    try fixture.end();
}
