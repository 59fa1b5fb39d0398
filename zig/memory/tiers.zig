//! The three allocators of a pool under one limit, chosen by size alone: small blocks (small.zig)
//! below 1 MiB, the buddy allocator (buddy.zig) up to nearly 64 MiB, a mapping each (direct.zig)
//! above. Knows nothing of tags and of who watches.

const std = @import("std");
const buddies = @import("buddy.zig");
const Cache = @import("cache.zig").Cache;
const Direct = @import("direct.zig").Direct;
const Limit = @import("limit.zig").Limit;
const Meta = @import("meta.zig").Meta;
const size_class = @import("size_class.zig");
const Small = @import("small.zig").Small;
const Source = @import("source.zig").Source;
const spans = @import("span.zig");

const Buddy = buddies.Buddy;

pub const Error = error{ OutOfMemory, LimitReached, InvalidSize, InvalidAlignment };

/// Requests below it are small, though some round up to a block of just that size.
pub const large_size_min = size_class.size_max;
pub const alignment_max = spans.slice_size;
/// What a block is to be like.
pub const Shape = struct {
    size: usize,
    /// A power of two up to 64 KiB.
    alignment: usize,
    zeroed: bool = false,
    /// Filled bit by bit, where a huge page would take more than what is touched.
    sparse: bool = false,
};

pub const Tiers = struct {
    source: Source,
    limit: Limit,
    small: Small,
    buddy: Buddy,
    direct: Direct,

    pub const Options = struct { size_max: u64, huge_pages: bool, idle_size_max: ?u64 };

    /// The tiers must not move afterwards.
    pub fn init(
        tiers: *Tiers,
        source: Source,
        meta: *Meta,
        options: Options,
    ) error{OutOfMemory}!void {
        tiers.source = source;
        tiers.limit = .{ .max = .init(options.size_max) };
        tiers.buddy = try .init(source, meta, .{
            .huge_pages = options.huge_pages,
            .idle_size_max = options.idle_size_max,
        });
        tiers.direct = try .init(source, meta, .{
            .huge_pages = options.huge_pages,
            .idle_size_max = options.idle_size_max,
        });
        try tiers.small.init(meta, &tiers.buddy, &tiers.limit);
    }

    pub fn deinit(tiers: *Tiers) void {
        tiers.small.deinit();
        tiers.direct.deinit();
        tiers.buddy.deinit();
    }

    pub fn allocate(tiers: *Tiers, shape: Shape) Error![*]u8 {
        const size = shape.size;
        const alignment = shape.alignment;
        if (size == 0) return error.InvalidSize;
        if (alignment > alignment_max or !std.math.isPowerOfTwo(alignment)) {
            return error.InvalidAlignment;
        }
        if (size > buddies.block_size_max) return tiers.allocateDirect(shape);
        if (size >= large_size_min) return tiers.allocateBuddy(shape);
        const memory = try tiers.allocateSmall(std.mem.alignForward(usize, size, alignment));
        if (shape.zeroed) @memset(memory[0..size], 0);
        return memory;
    }

    fn allocateSmall(tiers: *Tiers, size: usize) Error![*]u8 {
        const cache = tiers.small.ownCache() orelse return error.OutOfMemory;
        const class = size_class.of(size);
        if (cache.allocate(class)) |memory| return memory;
        const span_size = @as(u64, size_class.cutOf(class).slices) * spans.slice_size;
        const held = tiers.limit.held.load(.monotonic);
        const max = tiers.limit.max.load(.monotonic);
        return if (span_size > max -| held) error.LimitReached else error.OutOfMemory;
    }

    fn allocateBuddy(tiers: *Tiers, shape: Shape) Error![*]u8 {
        const held = std.mem.alignForward(usize, shape.size, buddies.unit_size);
        if (!tiers.limit.take(held)) return error.LimitReached;
        errdefer tiers.limit.giveBack(held);
        return tiers.buddy.allocate(shape.size, .{
            .zeroed = shape.zeroed,
            .sparse = shape.sparse,
        }) orelse error.OutOfMemory;
    }

    fn allocateDirect(tiers: *Tiers, shape: Shape) Error![*]u8 {
        const held = Direct.roundUp(shape.size) orelse return error.InvalidSize;
        if (!tiers.limit.take(held)) return error.LimitReached;
        errdefer tiers.limit.giveBack(held);
        return tiers.direct.allocate(held, .{
            .zeroed = shape.zeroed,
            .sparse = shape.sparse,
        }) orelse error.OutOfMemory;
    }

    /// Of a small block no more is checked than that it is one of this pool's.
    pub fn free(tiers: *Tiers, memory: []u8) error{ForeignPointer}!void {
        if (memory.len == 0) return error.ForeignPointer;
        if (memory.len < large_size_min) {
            if (spans.unitOf(memory.ptr).owner.small != &tiers.small) return error.ForeignPointer;
            const cache = tiers.enter();
            defer tiers.leave(cache);
            return cache.free(memory.ptr);
        }
        const is_direct = memory.len > buddies.block_size_max;
        const held = if (is_direct) tiers.direct.free(memory.ptr) else tiers.buddy.free(memory.ptr);
        tiers.limit.giveBack(held orelse return error.ForeignPointer);
    }

    /// The thread's own cache, or the stray one, locked until `leave`.
    pub fn enter(tiers: *Tiers) *Cache {
        if (tiers.small.ownCache()) |cache| return cache;
        tiers.small.stray_mutex.lock();
        return tiers.small.stray;
    }

    pub fn leave(tiers: *Tiers, cache: *Cache) void {
        if (cache != tiers.small.stray) return;
        cache.outbox.sendAll(.may_rescue);
        tiers.small.stray_mutex.unlock();
    }

    /// Gives back to the system what is free, as far as it can be had without stopping a thread.
    pub fn trim(tiers: *Tiers) void {
        tiers.small.trim();
        tiers.buddy.purge();
        tiers.direct.purge();
    }
};
