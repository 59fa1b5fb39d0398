//! Random operations on a pool beside a plain list of what must be live: alignment, contents, no
//! overlap, metrics that add up, and nothing left at the end. BITNET_LONG=1 makes it a campaign;
//! the seed of a failed round is in its message.

const std = @import("std");
const Faulty = @import("source.zig").Faulty;
const hybrid = @import("hybrid.zig");
const metrics = @import("pool_metrics.zig");

const HybridMemoryPool = hybrid.HybridMemoryPool;

const live_max = 400;

const Live = struct {
    memory: []u8,
    tag: hybrid.Tag,
    seal: u64,
};

const Model = struct {
    pool: *HybridMemoryPool,
    random: std.Random,
    tags: [3]hybrid.Tag,
    live: [live_max]Live = undefined,
    count: usize = 0,
    next_seal: u64 = 1,
    refused: u64 = 0,

    fn step(model: *Model) !void {
        // Drifts between filling and emptying, so that all states are seen.
        const filling = (model.next_seal / 500) % 2 == 0;
        const wants_more = model.random.uintLessThan(u32, 100) < @as(u32, if (filling) 60 else 42);
        if (model.count == 0 or (wants_more and model.count < live_max)) {
            try model.allocate();
        } else {
            try model.free(model.random.uintLessThan(usize, model.count));
        }
        if (model.random.uintLessThan(u32, 1000) == 0) model.pool.trim();
    }

    fn allocate(model: *Model) !void {
        const random = model.random;
        // Every power of two is as likely as the next, up to a few MiB; larger ones now and then.
        const bits_max: u5 = if (random.uintLessThan(u32, 200) == 0) 26 else 21;
        const power = @as(usize, 1) << random.uintAtMost(u5, bits_max);
        const size = power + random.uintLessThan(usize, power);
        const alignment = @as(usize, 1) << random.uintAtMost(u4, 12);
        const request: hybrid.Request = .{
            .size = size,
            .alignment = alignment,
            .tag = model.tags[random.uintLessThan(usize, model.tags.len)],
            // Of large blocks fewer: clearing them would be most of the time.
            .zeroed = random.uintLessThan(u32, if (size < 64 << 10) 2 else 16) == 0,
            .sparse = random.uintLessThan(u32, 4) == 0,
        };
        const memory = model.pool.allocate(request) catch |err| switch (err) {
            error.LimitReached => {
                model.refused += 1;
                return;
            },
            else => return err,
        };
        try std.testing.expectEqual(0, @intFromPtr(memory.ptr) % alignment);
        try std.testing.expectEqual(size, memory.len);
        if (request.zeroed) try model.expectZeros(memory);
        const block: Live = .{ .memory = memory, .tag = request.tag, .seal = model.next_seal };
        model.next_seal += 1;
        seal(block);
        model.live[model.count] = block;
        model.count += 1;
    }

    fn free(model: *Model, index: usize) !void {
        const block = model.live[index];
        try expectSeal(block);
        // Whoever gets this memory next and asked for zeros must not see it.
        @memset(block.memory[0..@min(block.memory.len, 300)], 0xa5);
        block.memory[block.memory.len - 1] = 0xa5;
        try model.pool.free(block.memory, block.tag);
        model.count -= 1;
        model.live[index] = model.live[model.count];
    }

    fn expectZeros(model: *Model, memory: []const u8) !void {
        const head = memory[0..@min(memory.len, 512)];
        try std.testing.expect(std.mem.allEqual(u8, head, 0));
        try std.testing.expectEqual(0, memory[memory.len - 1]);
        try std.testing.expectEqual(0, memory[model.random.uintLessThan(usize, memory.len)]);
    }

    fn check(model: *Model) !void {
        const live = model.live[0..model.count];
        std.mem.sort(Live, live, {}, isBelow);
        var used: u64 = 0;
        for (live, 0..) |block, index| {
            try expectSeal(block);
            used += block.memory.len;
            if (index == 0) continue;
            const before = live[index - 1].memory;
            const end = @intFromPtr(before.ptr) + before.len;
            try std.testing.expect(end <= @intFromPtr(block.memory.ptr));
        }
        const now = metrics.read(model.pool);
        try std.testing.expectEqual(used, now.used);
        try std.testing.expectEqual(model.count, now.live_count);
        try std.testing.expect(now.blocks >= used);
        try std.testing.expect(now.peak_used >= used and now.peak_held >= now.held);
        try std.testing.expect(now.held <= now.size_max and now.reserved >= now.held);
        var totals: [hybrid.tag_count]metrics.TagMetrics = undefined;
        metrics.readTags(model.pool, &totals);
        var tagged: u64 = 0;
        for (totals) |total| tagged += total.used;
        try std.testing.expectEqual(used, tagged);
    }

    fn isBelow(_: void, a: Live, b: Live) bool {
        return @intFromPtr(a.memory.ptr) < @intFromPtr(b.memory.ptr);
    }
};

/// Writes a number into the ends of the block and at places between.
fn seal(block: Live) void {
    var at: usize = 0;
    while (at < block.memory.len) : (at = at * 2 + 1) block.memory[at] = @truncate(block.seal + at);
    block.memory[block.memory.len - 1] = @truncate(block.seal);
}

fn expectSeal(block: Live) !void {
    const last = block.memory.len - 1;
    try std.testing.expectEqual(@as(u8, @truncate(block.seal)), block.memory[last]);
    var at: usize = 0;
    while (at < last) : (at = at * 2 + 1) {
        try std.testing.expectEqual(@as(u8, @truncate(block.seal + at)), block.memory[at]);
    }
}

fn runModel(seed: u64, steps: u64, options: hybrid.Options) !void {
    errdefer std.debug.print("seed {d}, level {t}, debug {}\n", .{
        seed,
        options.level,
        options.debug,
    });
    var faulty: Faulty = .{};
    var given = options;
    given.source = faulty.source();
    given.meta_source = faulty.source();
    var prng: std.Random.DefaultPrng = .init(seed);
    const pool: *HybridMemoryPool = try .create(given);
    var model: Model = .{
        .pool = pool,
        .random = prng.random(),
        .tags = .{ .untagged, try pool.tag("a"), try pool.tag("b") },
    };
    for (0..steps) |number| {
        try model.step();
        if (number % 1000 == 0) try model.check();
    }
    try model.check();
    if (given.size_max != std.math.maxInt(u64)) try std.testing.expect(model.refused > 0);
    while (model.count > 0) try model.free(model.count - 1);
    try model.check();
    pool.trim();
    try std.testing.expectEqual(0, metrics.read(pool).held);
    try std.testing.expectEqual(0, metrics.read(pool).blocks);
    try std.testing.expectEqual(0, metrics.read(pool).fault_count);
    try std.testing.expect(pool.close());
    try std.testing.expectEqual(0, faulty.mapped.raw);
}

test "model: random operations agree with a list, on every level and under a limit" {
    const is_long = std.c.getenv("BITNET_LONG") != null;
    const steps: u64 = if (is_long) 100_000 else 6_000;
    const seeds: u64 = if (is_long) 4 else 1;
    for (0..seeds) |seed| {
        for ([_]hybrid.Level{ .none, .basic, .standard, .detailed }) |level| {
            try runModel(seed, steps, .{ .level = level });
        }
        try runModel(seed, steps / 3, .{ .debug = true });
        try runModel(seed, steps, .{ .size_max = 96 << 20, .idle_size_max = 8 << 20 });
        try runModel(seed, steps, .{ .size_max = 64 << 20, .huge_pages = false });
    }
}

test "model: operations without end do not make the pool grow" {
    const is_long = std.c.getenv("BITNET_LONG") != null;
    const steps: u64 = if (is_long) 100_000_000 else 1_000_000;
    const pool: *HybridMemoryPool = try .create(.{});
    var blocks: [2000]?[]u8 = @splat(null);
    var prng: std.Random.DefaultPrng = .init(1);
    const random = prng.random();
    var early: metrics.Metrics = undefined;
    for (0..steps) |number| {
        const slot = &blocks[random.uintLessThan(usize, blocks.len)];
        if (slot.*) |block| try pool.free(block, .untagged);
        const power = @as(usize, 1) << random.uintAtMost(u5, 13);
        slot.* = try pool.allocate(.{ .size = power + random.uintLessThan(usize, power) });
        if (number == steps / 10) early = metrics.read(pool);
    }
    const late = metrics.read(pool);
    for (blocks) |block| if (block) |memory| try pool.free(memory, .untagged);
    try std.testing.expect(late.meta == early.meta);
    try std.testing.expect(late.peak_held <= early.peak_held + early.peak_held / 8);
    try std.testing.expect(late.reserved <= early.reserved + (64 << 20));
    try std.testing.expect(pool.close());
}
