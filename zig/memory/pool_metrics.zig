//! What a pool holds, at any time and without stopping anyone: sums of counters that each thread
//! writes for itself; only who needs a new span just then waits for a moment. While others
//! allocate, the figures are each true of some moment of the call, not all of the same.

const std = @import("std");
const arenas = @import("arena.zig");
const Cache = @import("cache.zig").Cache;
const Run = @import("bits.zig").Run;
const hybrid = @import("hybrid.zig");
const size_class = @import("size_class.zig");

const HybridMemoryPool = hybrid.HybridMemoryPool;

pub const Metrics = extern struct {
    /// Bytes asked for by live blocks, and the most there were (within 64 KiB a thread).
    used: u64,
    peak_used: u64,
    /// Bytes in spans, units and mappings that are given out: what the limit is about.
    held: u64,
    peak_held: u64,
    size_max: u64,
    /// What may be resident: `held`, what is kept for reuse, and the pool's tables.
    total: u64,
    /// Address space from the system, touched or not.
    reserved: u64,
    /// Bytes of spans, from which small blocks are cut.
    spans: u64,
    /// Bytes of live blocks as they are cut, sizes rounded up to class, unit or page: the sum of
    /// the three that follow.
    blocks: u64,
    small_blocks: u64,
    buddy_blocks: u64,
    direct_blocks: u64,
    live_count: u64,
    allocated_count: u64,
    freed_count: u64,
    refused_count: u64,
    fault_count: u64,
    /// Free bytes in arenas, and the largest block that needs no new mapping.
    free: u64,
    largest_free: u64,
    /// Free bytes that may hold memory.
    idle: u64,
    meta: u64,
    mapped_files: u64,
    /// Since the pool's creation; 0 where nothing is watched.
    now_ns: u64,
    thread_count: u32,
    arena_count: u32,
    mapping_count: u32,
    padding: u32 = 0,
    /// 1 - used / blocks: what rounding costs.
    internal_fragmentation: f64,
    /// 1 - largest_free / free: what lies apart.
    external_fragmentation: f64,
};

pub fn read(pool: *HybridMemoryPool) Metrics {
    var metrics = std.mem.zeroes(Metrics);
    var next = pool.tiers.small.caches.load(.acquire);
    while (next) |cache| : (next = cache.next) {
        metrics.thread_count += 1;
        for (&cache.tags) |*of_tag| {
            metrics.used +%= @atomicLoad(u64, &of_tag.size, .monotonic);
            metrics.allocated_count +%= @atomicLoad(u64, &of_tag.allocated, .monotonic);
            metrics.freed_count +%= @atomicLoad(u64, &of_tag.freed, .monotonic);
        }
    }
    // The stray cache is no thread's.
    metrics.thread_count -= 1;
    metrics.live_count = metrics.allocated_count -% metrics.freed_count;
    pool.tiers.small.ledger.notePeak(metrics.used);
    metrics.peak_used = pool.tiers.small.ledger.peak.load(.monotonic);
    metrics.held = pool.tiers.limit.held.load(.monotonic);
    metrics.peak_held = pool.tiers.limit.peak.load(.monotonic);
    metrics.size_max = pool.tiers.limit.max.load(.monotonic);
    metrics.refused_count = pool.refused_count.load(.monotonic);
    metrics.mapped_files = pool.mapped_files.load(.monotonic);
    metrics.meta = pool.meta.reserved.load(.monotonic);
    if (pool.watch) |watch| {
        metrics.now_ns = watch.tracking.now();
        if (watch.debug) |*debug| metrics.fault_count = debug.fault_count.load(.monotonic);
    }
    readBlocks(pool, &metrics);
    readFree(pool, &metrics);
    metrics.total = metrics.held + metrics.idle + metrics.meta;
    metrics.internal_fragmentation = lostShare(metrics.used, metrics.blocks);
    metrics.external_fragmentation = lostShare(metrics.largest_free, metrics.free);
    return metrics;
}

fn readBlocks(pool: *HybridMemoryPool, metrics: *Metrics) void {
    const buddy = &pool.tiers.buddy;
    const direct = &pool.tiers.direct;
    const mapped = direct.mapped.load(.monotonic);
    metrics.mapping_count = @intCast(direct.count.load(.monotonic));
    metrics.arena_count = buddy.mapped_count.load(.monotonic);
    const kept = direct.idle.load(.monotonic);
    const in_arenas = metrics.arena_count * @as(u64, arenas.size);
    metrics.reserved = in_arenas + mapped + kept + metrics.meta;
    metrics.spans = buddy.span_units.load(.monotonic) * arenas.unit_size;
    metrics.buddy_blocks = buddy.block_units.load(.monotonic) * arenas.unit_size;
    metrics.direct_blocks = mapped;
    metrics.idle = buddy.idle_units.load(.monotonic) * arenas.unit_size + kept;
    var counts: [class_count]u64 = undefined;
    countBlocks(pool, &counts);
    for (counts, 0..) |count, class| {
        metrics.small_blocks += count * size_class.sizeOf(@intCast(class));
    }
    metrics.blocks = metrics.small_blocks + metrics.buddy_blocks + metrics.direct_blocks;
}

fn readFree(pool: *HybridMemoryPool, metrics: *Metrics) void {
    const buddy = &pool.tiers.buddy;
    for (buddy.arenas[0..buddy.arena_count.load(.acquire)]) |*arena| {
        metrics.free += arena.free_count.load(.monotonic) * @as(u64, arenas.unit_size);
        const longest = arena.longest.load(.monotonic) * @as(u64, arenas.unit_size);
        metrics.largest_free = @max(metrics.largest_free, longest);
    }
}

fn lostShare(good: u64, all: u64) f64 {
    if (all == 0 or good >= all) return 0;
    return 1 - @as(f64, @floatFromInt(good)) / @as(f64, @floatFromInt(all));
}

pub const ClassMetrics = extern struct {
    /// Bytes of a block.
    size: u64,
    /// Those that threads have freed to another's inbox count until it looks there.
    live_count: u64,
};

pub const class_count = size_class.count;

/// Small blocks by class, smallest first.
pub fn readClasses(pool: *HybridMemoryPool, to: *[class_count]ClassMetrics) void {
    var counts: [class_count]u64 = undefined;
    countBlocks(pool, &counts);
    for (to, counts, 0..) |*of_class, count, class| {
        of_class.* = .{ .size = size_class.sizeOf(@intCast(class)), .live_count = count };
    }
}

/// Blocks of each class that are not free. Holds the lock under which spans come and go: who needs
/// a new one just then waits.
fn countBlocks(pool: *HybridMemoryPool, counts: *[class_count]u64) void {
    counts.* = @splat(0);
    const buddy = &pool.tiers.buddy;
    buddy.mutex.lock();
    defer buddy.mutex.unlock();
    for (buddy.arenas[0..buddy.arena_count.raw]) |*arena| {
        if (arena.base.raw == 0) continue;
        const header = arena.header();
        var unit: u16 = arenas.usable.start;
        while (unit < arenas.unit_count) {
            const length = header.lengths[unit];
            if (length & arenas.span_flag != 0) {
                const span = &header.spans[unit];
                const class = @atomicLoad(size_class.Class, &span.class, .monotonic);
                counts[class] += @atomicLoad(u16, &span.used, .monotonic);
            }
            const rest: Run = .{ .start = unit, .count = arenas.unit_count - unit };
            unit += if (length != 0)
                length & ~arenas.span_flag
            else if (arena.free.firstRun(rest)) |free|
                free.count
            else
                rest.count;
        }
    }
}

pub const TagMetrics = extern struct {
    used: u64,
    live_count: u64,
    allocated_count: u64,
    reserved: u64 = 0,
};

/// What blocks of each tag hold.
pub fn readTags(pool: *const HybridMemoryPool, to: *[hybrid.tag_count]TagMetrics) void {
    to.* = @splat(.{ .used = 0, .live_count = 0, .allocated_count = 0 });
    var next = pool.tiers.small.caches.load(.acquire);
    while (next) |cache| : (next = cache.next) {
        for (to, &cache.tags) |*of_tag, *counted| {
            const allocated = @atomicLoad(u64, &counted.allocated, .monotonic);
            of_tag.used +%= @atomicLoad(u64, &counted.size, .monotonic);
            of_tag.allocated_count +%= allocated;
            of_tag.live_count +%= allocated;
            of_tag.live_count -%= @atomicLoad(u64, &counted.freed, .monotonic);
        }
    }
}
