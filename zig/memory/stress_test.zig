//! Eight threads on one pool that pass blocks to each other through shared slots, so that most are
//! freed on another thread than they came from; metrics are read meanwhile. Meant for the thread
//! sanitizer; BITNET_LONG=1 makes it a campaign.

const std = @import("std");
const Faulty = @import("source.zig").Faulty;
const hybrid = @import("hybrid.zig");
const metrics = @import("pool_metrics.zig");
const os = @import("../threads/os.zig");

const HybridMemoryPool = hybrid.HybridMemoryPool;

const thread_count = 8;
const slot_count = 256;

/// At the start of each block: what it is, so that whoever takes it from a slot can check it.
const Head = struct { size: usize, seal: usize };

const Shared = struct {
    pool: *HybridMemoryPool,
    slots: [slot_count]std.atomic.Value(?*Head) = @splat(.init(null)),
    steps: u64,
    wrong: std.atomic.Value(u32) = .init(0),
    refused: std.atomic.Value(u32) = .init(0),

    fn put(shared: *Shared, slot: usize, head: ?*Head) void {
        const old = shared.slots[slot].swap(head, .acq_rel) orelse return;
        const memory = @as([*]u8, @ptrCast(old))[0..old.size];
        const last = memory[memory.len - 1];
        if (old.seal != old.size *% 31 or last != @as(u8, @truncate(old.seal))) {
            _ = shared.wrong.fetchAdd(1, .monotonic);
        }
        shared.pool.free(memory, .untagged) catch {
            _ = shared.wrong.fetchAdd(1, .monotonic);
        };
    }
};

/// What never falls in the figures of one reader. Others may contradict each other while threads
/// allocate and give back, as each is of a moment of its own: more held than reserved, say.
const Rising = struct {
    allocated_count: u64 = 0,
    freed_count: u64 = 0,
    peak_used: u64 = 0,
    peak_held: u64 = 0,

    fn advance(before: *Rising, now: *const metrics.Metrics) bool {
        var is_rising = true;
        inline for (std.meta.fields(Rising)) |field| {
            const count = @field(now, field.name);
            is_rising = is_rising and count >= @field(before, field.name);
            @field(before, field.name) = count;
        }
        return is_rising;
    }
};

const Worker = struct {
    shared: *Shared,
    seed: u64,
    seen: Rising = .{},

    fn work(worker: *Worker) void {
        const shared = worker.shared;
        var prng: std.Random.DefaultPrng = .init(worker.seed);
        const random = prng.random();
        for (0..shared.steps) |number| {
            const bits_max: u5 = if (random.uintLessThan(u32, 50) == 0) 21 else 12;
            const power = @as(usize, 32) << random.uintAtMost(u5, bits_max - 5);
            const size = power + random.uintLessThan(usize, power);
            const memory = shared.pool.allocate(.{ .size = size, .alignment = 64 }) catch {
                _ = shared.refused.fetchAdd(1, .monotonic);
                continue;
            };
            const head: *Head = @ptrCast(@alignCast(memory.ptr));
            head.* = .{ .size = size, .seal = size *% 31 };
            memory[size - 1] = @truncate(head.seal);
            shared.put(random.uintLessThan(usize, slot_count), head);
            if (number % 1024 == 0) worker.look();
        }
    }

    fn look(worker: *Worker) void {
        const now = metrics.read(worker.shared.pool);
        if (!worker.seen.advance(&now)) _ = worker.shared.wrong.fetchAdd(1, .monotonic);
        if (worker.seed % 3 == 0) worker.shared.pool.trim();
    }
};

fn runStress(steps: u64, rounds: usize, options: hybrid.Options) !void {
    var faulty: Faulty = .{};
    var given = options;
    given.source = faulty.source();
    given.meta_source = faulty.source();
    const pool: *HybridMemoryPool = try .create(given);
    var shared: Shared = .{ .pool = pool, .steps = steps };
    // Threads end and others take their caches over, with blocks still in the slots.
    for (0..rounds) |round| {
        var workers: [thread_count]Worker = undefined;
        var threads: [thread_count]os.Thread = undefined;
        for (&workers, &threads, 0..) |*worker, *thread, index| {
            worker.* = .{ .shared = &shared, .seed = round * thread_count + index };
            thread.* = try os.Thread.spawn(Worker, worker, Worker.work);
        }
        for (threads) |thread| thread.join();
    }
    for (0..slot_count) |slot| shared.put(slot, null);
    try std.testing.expectEqual(0, shared.wrong.raw);
    const now = metrics.read(pool);
    try std.testing.expectEqual(0, now.used);
    try std.testing.expectEqual(0, now.live_count);
    try std.testing.expect(now.thread_count <= thread_count + 1);
    pool.trim();
    try std.testing.expectEqual(0, metrics.read(pool).held);
    try std.testing.expect(pool.close());
    try std.testing.expectEqual(0, faulty.mapped.raw);
}

test "stress: eight threads free each other's blocks and nothing is lost" {
    const is_long = std.c.getenv("BITNET_LONG") != null;
    const steps: u64 = if (is_long) 500_000 else 4_000;
    try runStress(steps, 3, .{});
    try runStress(steps / 4, 2, .{ .level = .standard });
    try runStress(steps / 8, 2, .{ .debug = true });
    // So little that threads keep making each other give back.
    try runStress(steps / 4, 2, .{ .size_max = 48 << 20 });
}
