//! What is known of a pool's blocks beyond sums, from level `standard` up: a record of every live
//! block, the timeline, how long blocks of each tag lived, and the last freed blocks.
//!
//! none: sums of the whole pool. basic: sums by tag (both are kept by the threads' caches, see
//! cache.zig). standard: records, timeline, lifetimes. detailed: call sites and freed blocks too.

const std = @import("std");
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;
const os = @import("../threads/os.zig");
const timeline = @import("timeline.zig");

pub const Level = enum(u32) { none, basic, standard, detailed };

const shard_count = 64;
const ring_capacity = 8192;
const history_capacity = 1024;
const freed_capacity = 4096;
/// Lifetimes are counted by the power of two of their nanoseconds.
pub const lifetime_bucket_count = 48;

pub const Record = extern struct {
    address: u64,
    size: u64,
    allocated_ns: u64,
    /// 0 while it lives.
    freed_ns: u64 = 0,
    thread: u64,
    freed_thread: u64 = 0,
    /// Where the code stood that called for it; 0 below `detailed`.
    return_address: u64,
    label: u32,
    tag: u16,
    alignment_log2: u8,
    reserved: u8 = 0,
};

pub const Lifetimes = extern struct {
    count: u64,
    total_ns: u64,
    max_ns: u64,
};

pub const Tracking = struct {
    level: Level,
    meta: *Meta,
    started_ns: u64,
    shards: []Shard,
    ring: timeline.Ring,
    history: timeline.History,
    lifetimes: []LifetimeCount,
    buckets: []std.atomic.Value(u64),
    freed_mutex: Mutex = .{},
    /// The last freed blocks, a ring; empty below `detailed`.
    freed: []Record,
    freed_count: u64 = 0,

    const Shard = struct {
        mutex: Mutex,
        records: std.AutoHashMapUnmanaged(u64, Record),
    };

    const LifetimeCount = struct {
        count: std.atomic.Value(u64),
        total_ns: std.atomic.Value(u64),
        max_ns: std.atomic.Value(u64),
    };

    pub fn init(meta: *Meta, level: Level, tag_count: usize) error{OutOfMemory}!Tracking {
        const shards = meta.slice(Shard, shard_count) orelse return error.OutOfMemory;
        for (shards) |*shard| shard.* = .{ .mutex = .{}, .records = .empty };
        const freed_size: usize = if (level == .detailed) freed_capacity else 0;
        return .{
            .level = level,
            .meta = meta,
            .started_ns = os.now(),
            .shards = shards,
            .ring = try .init(meta, ring_capacity),
            .history = try .init(meta, history_capacity),
            .lifetimes = meta.slice(LifetimeCount, tag_count) orelse return error.OutOfMemory,
            .buckets = meta.slice(std.atomic.Value(u64), lifetime_bucket_count) orelse
                return error.OutOfMemory,
            .freed = meta.slice(Record, freed_size) orelse return error.OutOfMemory,
        };
    }

    pub fn deinit(tracking: *Tracking) void {
        for (tracking.shards) |*shard| shard.records.deinit(tracking.meta.pageAllocator());
    }

    pub fn now(tracking: *const Tracking) u64 {
        return os.now() - tracking.started_ns;
    }

    pub fn add(tracking: *Tracking, record: Record) error{OutOfMemory}!void {
        const shard = tracking.shardOf(record.address);
        shard.mutex.lock();
        defer shard.mutex.unlock();
        try shard.records.put(tracking.meta.pageAllocator(), record.address, record);
    }

    /// The record of the live block that starts at `address`.
    pub fn find(tracking: *Tracking, address: u64) ?Record {
        const shard = tracking.shardOf(address);
        shard.mutex.lock();
        defer shard.mutex.unlock();
        return shard.records.get(address);
    }

    /// Takes the record of a live block out; of two threads that free it, one gets null.
    pub fn remove(tracking: *Tracking, address: u64) ?Record {
        const shard = tracking.shardOf(address);
        shard.mutex.lock();
        defer shard.mutex.unlock();
        const removed = shard.records.fetchRemove(address) orelse return null;
        return removed.value;
    }

    /// Counts a lifetime that has ended, and remembers the block.
    pub fn bury(tracking: *Tracking, record: Record) void {
        const lifetime = record.freed_ns - record.allocated_ns;
        const of_tag = &tracking.lifetimes[record.tag];
        _ = of_tag.count.fetchAdd(1, .monotonic);
        _ = of_tag.total_ns.fetchAdd(lifetime, .monotonic);
        _ = of_tag.max_ns.fetchMax(lifetime, .monotonic);
        const bucket = @min(64 - @clz(lifetime), lifetime_bucket_count - 1);
        _ = tracking.buckets[bucket].fetchAdd(1, .monotonic);
        if (tracking.freed.len == 0) return;
        tracking.freed_mutex.lock();
        defer tracking.freed_mutex.unlock();
        const at: usize = @intCast(tracking.freed_count % tracking.freed.len);
        tracking.freed[at] = record;
        tracking.freed_count += 1;
    }

    /// The last block that was freed at `address`, as far back as is remembered.
    pub fn lastFreed(tracking: *Tracking, address: u64) ?Record {
        tracking.freed_mutex.lock();
        defer tracking.freed_mutex.unlock();
        const count = @min(tracking.freed_count, tracking.freed.len);
        for (0..@intCast(count)) |back| {
            const number = tracking.freed_count - 1 - back;
            const record = tracking.freed[@intCast(number % tracking.freed.len)];
            if (record.address == address) return record;
        }
        return null;
    }

    /// The live block that holds `address` in its inside. Looks at all of them.
    pub fn findAround(tracking: *Tracking, address: u64) ?Record {
        for (tracking.shards) |*shard| {
            shard.mutex.lock();
            defer shard.mutex.unlock();
            var records = shard.records.valueIterator();
            while (records.next()) |record| {
                const offset = address -% record.address;
                if (offset < record.size) return record.*;
            }
        }
        return null;
    }

    /// Copies the records of live blocks, in no order, and tells how many there are in all.
    pub fn copyLive(tracking: *Tracking, to: []Record) usize {
        var count: usize = 0;
        for (tracking.shards) |*shard| {
            shard.mutex.lock();
            defer shard.mutex.unlock();
            var records = shard.records.valueIterator();
            while (records.next()) |record| : (count += 1) {
                if (count < to.len) to[count] = record.*;
            }
        }
        return count;
    }

    pub fn lifetimesOf(tracking: *const Tracking, tag: usize) Lifetimes {
        const of_tag = &tracking.lifetimes[tag];
        return .{
            .count = of_tag.count.load(.monotonic),
            .total_ns = of_tag.total_ns.load(.monotonic),
            .max_ns = of_tag.max_ns.load(.monotonic),
        };
    }

    fn shardOf(tracking: *Tracking, address: u64) *Shard {
        const mixed = (address >> 4) *% 0x9e37_79b9_7f4a_7c15;
        return &tracking.shards[@intCast(mixed >> 58)];
    }
};

test "tracking: a record lives once, and freed blocks are remembered" {
    const Faulty = @import("source.zig").Faulty;
    var faulty: Faulty = .{};
    var meta: Meta = .{ .source = faulty.source() };
    var tracking: Tracking = try .init(&meta, .detailed, 4);
    var record: Record = .{
        .address = 4096,
        .size = 100,
        .allocated_ns = 5,
        .thread = 1,
        .return_address = 0,
        .label = 0,
        .tag = 2,
        .alignment_log2 = 4,
    };
    try tracking.add(record);
    try std.testing.expectEqual(4096, tracking.findAround(4195).?.address);
    try std.testing.expectEqual(null, tracking.findAround(4196));
    record = tracking.remove(4096).?;
    try std.testing.expectEqual(null, tracking.remove(4096));
    record.freed_ns = 1029;
    tracking.bury(record);
    try std.testing.expectEqual(1029, tracking.lastFreed(4096).?.freed_ns);
    try std.testing.expectEqual(1024, tracking.lifetimesOf(2).max_ns);
    try std.testing.expectEqual(1, tracking.buckets[11].raw);
    tracking.deinit();
    meta.deinit();
    try std.testing.expectEqual(0, faulty.mapped.raw);
}
