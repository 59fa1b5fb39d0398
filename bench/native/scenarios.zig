//! What is measured of an allocator: time per operation, and for traces the peak of resident memory
//! over the peak of live bytes. All sizes and orders are drawn from a fixed seed before the clock
//! starts; every block's first byte is written, and in traces one byte of each page.

const std = @import("std");
const os = @import("memory").os;
const Resident = @import("resident.zig").Resident;
const Subject = @import("subject.zig").Subject;
const Trace = @import("trace.zig").Trace;

pub const Result = extern struct {
    allocate_ns: f64 = 0,
    free_ns: f64 = 0,
    ns_per_op: f64 = 0,
    resident_over_live: f64 = 0,
};

pub const Scenario = struct {
    name: []const u8,
    run: *const fn (Context) Result,
    /// Rounds are so many times as many: where one is short, or meets what else the machine does.
    more: usize = 1,
    /// Pools at levels from standard up take part.
    watched: bool = false,
};

pub const Context = struct {
    subject: *const Subject,
    /// File of the engine's trace.
    trace: ?[*:0]const u8,
    /// How often each measurement is repeated, at most `repeats_max` times.
    repeats: usize,
};

pub const repeats_max = 31;

pub const all = [_]Scenario{
    .{ .name = "small", .run = runSmall, .more = 5, .watched = true },
    .{ .name = "small_pairs", .run = runSmallPairs, .more = 5 },
    .{ .name = "large", .run = runLarge },
    .{ .name = "producer_consumer", .run = runProducerConsumer, .more = 9 },
    .{ .name = "random", .run = runRandom, .more = 9 },
    .{ .name = "eager_tensors", .run = runEagerTensors },
    .{ .name = "engine", .run = runEngine },
};

/// Batches of 16 to 1,015 bytes: all allocated, then all freed in that order.
fn runSmall(context: Context) Result {
    const count = 4096;
    var sizes: [count]usize = undefined;
    fillSizes(&sizes, 16, 1000);
    return runBatches(context, &sizes);
}

/// Batches of 1 to 8 MiB.
fn runLarge(context: Context) Result {
    const count = 32;
    var sizes: [count]usize = undefined;
    fillSizes(&sizes, 1 << 20, 7 << 20);
    return runBatches(context, &sizes);
}

fn fillSizes(sizes: []usize, least: usize, spread: usize) void {
    var prng: std.Random.DefaultPrng = .init(1);
    for (sizes) |*size| size.* = least + prng.random().uintLessThan(usize, spread);
}

fn runBatches(context: Context, sizes: []const usize) Result {
    var blocks: [4096][]u8 = undefined;
    const subject = context.subject;
    var allocate_times: [repeats_max]u64 = undefined;
    var free_times: [repeats_max]u64 = undefined;
    const allocate_ns = allocate_times[0..context.repeats];
    const free_ns = free_times[0..context.repeats];
    for (allocate_ns, free_ns) |*allocating, *freeing| {
        const start = os.now();
        for (blocks[0..sizes.len], sizes) |*block, size| {
            block.* = subject.allocate(size);
            block.*[0] = 1;
        }
        const middle = os.now();
        for (blocks[0..sizes.len]) |block| subject.free(block);
        allocating.* = middle - start;
        freeing.* = os.now() - middle;
    }
    return .{
        .allocate_ns = perOp(median(allocate_ns), sizes.len),
        .free_ns = perOp(median(free_ns), sizes.len),
    };
}

/// One block at a time, freed at once.
fn runSmallPairs(context: Context) Result {
    var sizes: [4096]usize = undefined;
    fillSizes(&sizes, 16, 1000);
    const subject = context.subject;
    var all_times: [repeats_max]u64 = undefined;
    const times = all_times[0..context.repeats];
    for (times) |*time| {
        const start = os.now();
        for (sizes) |size| {
            const block = subject.allocate(size);
            block[0] = 1;
            subject.free(block);
        }
        time.* = os.now() - start;
    }
    return .{ .ns_per_op = perOp(median(times), 2 * sizes.len) };
}

/// One thread allocates 64 to 575 bytes, another frees them, over a ring of 1,024.
fn runProducerConsumer(context: Context) Result {
    var all_times: [repeats_max]u64 = undefined;
    const times = all_times[0..traceRepeats(context)];
    for (times) |*time| {
        var ring: Ring = .{ .subject = context.subject };
        const start = os.now();
        const consumer = os.Thread.spawn(Ring, &ring, Ring.consume) catch @panic("no thread");
        ring.produce();
        consumer.join();
        time.* = os.now() - start;
    }
    return .{ .ns_per_op = perOp(median(times), 2 * Ring.block_count) };
}

const Ring = struct {
    subject: *const Subject,
    blocks: [capacity][]u8 = undefined,
    produced: std.atomic.Value(usize) align(64) = .init(0),
    consumed: std.atomic.Value(usize) align(64) = .init(0),

    const capacity = 1024;
    const block_count = 500_000;
    /// Both sides look at each other's counter once in so many blocks.
    const stride = 64;

    fn produce(ring: *Ring) void {
        for (0..block_count) |number| {
            if (number % stride == 0) {
                ring.produced.store(number, .release);
                while (number + stride > ring.consumed.load(.acquire) + capacity) os.yield();
            }
            const block = ring.subject.allocate(64 + number * 37 % 512);
            block[0] = 1;
            ring.blocks[number % capacity] = block;
        }
        ring.produced.store(block_count, .release);
    }

    fn consume(ring: *Ring) void {
        var number: usize = 0;
        while (number < block_count) {
            const ready = ring.produced.load(.acquire);
            if (ready == number) os.yield();
            while (number < ready) : (number += 1) {
                ring.subject.free(ring.blocks[number % capacity]);
                if (number % stride == 0) ring.consumed.store(number, .release);
            }
            ring.consumed.store(number, .release);
        }
    }
};

/// Up to 2,000 live blocks of 16 bytes to 128 KiB, every power of two as likely as the next; a
/// random one makes room for a new one.
fn runRandom(context: Context) Result {
    var trace: Trace = .init(2000);
    var prng: std.Random.DefaultPrng = .init(2);
    const random = prng.random();
    for (0..60_000) |_| {
        const power = @as(usize, 16) << random.uintAtMost(u5, 12);
        const size = power + random.uintLessThan(usize, power);
        trace.replace(random.uintLessThan(usize, 2000), size);
    }
    return runTrace(context, &trace);
}

/// Steps of training as eager tensors make them: activations of 24 layers that live from the way
/// forward to the way back, each with short-lived temporaries, and small bookkeeping beside them.
fn runEagerTensors(context: Context) Result {
    const layers = 24;
    const kinds = 4;
    var trace: Trace = .init(layers * kinds + 80);
    var prng: std.Random.DefaultPrng = .init(3);
    const random = prng.random();
    const temporaries = layers * kinds;
    for (0..12) |_| {
        for (0..layers) |layer| {
            for ([kinds]usize{ 640 << 10, 1280 << 10, 1728 << 10, 640 << 10 }, 0..) |size, kind| {
                trace.replace(layer * kinds + kind, size + random.uintLessThan(usize, 1 << 16));
                trace.replace(temporaries + kind, 3 * size);
                trace.replace(temporaries + 8 + random.uintLessThan(usize, 64), 64 + size / 4096);
                trace.free(temporaries + kind);
            }
        }
        for (0..layers) |back| {
            const layer = layers - 1 - back;
            for (0..kinds) |kind| {
                trace.replace(temporaries + 4 + kind, 1280 << 10);
                trace.free(layer * kinds + kind);
                trace.free(temporaries + 4 + kind);
            }
        }
    }
    return runTrace(context, &trace);
}

/// What the engine allocates while it loads a model and generates, recorded by the bench.
fn runEngine(context: Context) Result {
    var trace = Trace.read(context.trace.?) catch std.process.exit(1);
    return runTrace(context, &trace);
}

fn runTrace(context: Context, trace: *Trace) Result {
    const subject = context.subject;
    const resident: Resident = .begin();
    var all_times: [repeats_max]u64 = undefined;
    const times = all_times[0..traceRepeats(context)];
    times[0] = trace.replay(subject);
    const peak = resident.peak();
    // The first round pays for the system's pages; the figure is the median of them all.
    for (times[1..]) |*time| time.* = trace.replay(subject);
    return .{
        .ns_per_op = perOp(median(times), trace.operation_count),
        .resident_over_live = if (peak == 0)
            0
        else
            @as(f64, @floatFromInt(peak)) / @as(f64, @floatFromInt(trace.live_max)),
    };
}

/// Rounds over many blocks are long: fewer do.
fn traceRepeats(context: Context) usize {
    return @max(1, context.repeats / 6);
}

fn perOp(ns: u64, count: usize) f64 {
    return @as(f64, @floatFromInt(ns)) / @as(f64, @floatFromInt(count));
}

fn median(times: []u64) u64 {
    std.mem.sort(u64, times, {}, std.sort.asc(u64));
    return times[times.len / 2];
}
