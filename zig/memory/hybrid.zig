//! The hybrid pool: every block of a device's memory. The size of a block alone decides where it
//! lies (tiers.zig), so freeing takes the block and its tag and nothing else.
//!
//! Any thread may call anything at any time but `close` and `destroy`, which must be the last. What
//! is watched (tracking from `standard` up, debug mode) goes through watch.zig.

const std = @import("std");
const Cache = @import("cache.zig").Cache;
const Meta = @import("meta.zig").Meta;
const Names = @import("names.zig").Names;
const names = @import("names.zig");
const size_class = @import("size_class.zig");
const sources = @import("source.zig");
const spans = @import("span.zig");
const thread_id = @import("thread_id.zig");
const Tiers = @import("tiers.zig").Tiers;
const tiers = @import("tiers.zig");
const tracks = @import("tracking.zig");
const Watch = @import("watch.zig").Watch;

pub const Level = tracks.Level;
pub const tag_count = @import("cache.zig").tag_count;

/// What a block is for: a number from `HybridMemoryPool.tag`.
pub const Tag = enum(u8) { untagged, _ };

pub const Error = tiers.Error || error{PoolClosed};

/// Faults of the caller. Where nothing is watched only large blocks are known to be foreign.
pub const FreeError = error{
    ForeignPointer,
    DoubleFree,
    WrongSize,
    /// The guard bytes around the block were overwritten; the block is freed.
    GuardDamaged,
};

/// A last resort before an allocation fails: frees something of about `size` bytes, elsewhere, and
/// tells whether it did. Called without a lock held, on the thread that allocates.
pub const Reclaimer = struct {
    context: ?*anyopaque,
    reclaim: *const fn (context: ?*anyopaque, size: u64) bool,
};

pub const Options = struct {
    source: sources.Source = sources.system,
    /// Where the pool's own tables live: never on a device.
    meta_source: sources.Source = sources.system,
    /// Of what is held: small blocks count in spans of 64 KiB and more, larger ones in units of
    /// 64 KiB.
    size_max: u64 = std.math.maxInt(u64),
    level: Level = .basic,
    debug: bool = false,
    huge_pages: bool = true,
    /// Freed memory kept for reuse by the buddy allocator, and as much of mappings; null follows
    /// recent use.
    idle_size_max: ?u64 = null,
    reclaimer: ?Reclaimer = null,
};

pub const Request = struct {
    size: usize,
    /// A power of two up to 64 KiB.
    alignment: usize = 16,
    tag: Tag = .untagged,
    zeroed: bool = false,
    /// Filled bit by bit, where a huge page would take more than what is touched.
    sparse: bool = false,
    /// From `HybridMemoryPool.label`; kept from level `standard` up.
    label: u32 = 0,

    pub fn shape(request: Request) tiers.Shape {
        return .{
            .size = request.size,
            .alignment = request.alignment,
            .zeroed = request.zeroed,
            .sparse = request.sparse,
        };
    }
};

const reclaims_max = 16;
const label_capacity = 8192;

pub const HybridMemoryPool = struct {
    options: Options,
    meta: Meta,
    tiers: Tiers,
    tags: Names,
    labels: Names,
    /// Tags count from level `basic` up; below, all is untagged.
    tag_mask: u6,
    watch: ?*Watch,
    /// Sizes below it take the short way; 0 when the pool is watched or closed.
    short_way_size_end: std.atomic.Value(usize) = .init(0),
    /// Sizes up to it the shortest, by a table; likewise.
    ready_size_max: std.atomic.Value(usize) = .init(0),
    closed: std.atomic.Value(bool) = .init(false),
    refused_count: std.atomic.Value(u64) = .init(0),
    /// Bytes of mapped files that owners of mappings have told of.
    mapped_files: std.atomic.Value(u64) = .init(0),

    /// A pool at a place of its own, gone after `close` or `destroy`.
    pub fn create(options: Options) error{OutOfMemory}!*HybridMemoryPool {
        var meta: Meta = .{ .source = options.meta_source };
        errdefer meta.deinit();
        const pool = meta.create(HybridMemoryPool) orelse return error.OutOfMemory;
        pool.* = .{
            .options = options,
            .meta = meta,
            .tiers = undefined,
            .tags = undefined,
            .labels = undefined,
            .tag_mask = if (options.level == .none) 0 else tag_count - 1,
            .watch = null,
        };
        // From here on the chunks are known to the pool's own copy alone.
        pool.fill() catch |err| {
            meta = pool.meta;
            return err;
        };
        return pool;
    }

    fn fill(pool: *HybridMemoryPool) error{OutOfMemory}!void {
        const options = pool.options;
        pool.tags = try .init(&pool.meta, tag_count);
        pool.labels = try .init(&pool.meta, label_capacity);
        const is_watched = @intFromEnum(options.level) >= @intFromEnum(Level.standard);
        if (options.debug or is_watched) {
            const watch = pool.meta.create(Watch) orelse return error.OutOfMemory;
            try watch.init(pool);
            pool.watch = watch;
        } else {
            pool.short_way_size_end.store(tiers.large_size_min - 1, .monotonic);
            pool.ready_size_max.store(size_class.tabled_max, .monotonic);
        }
        // Last, because threads that end hear of it from here on.
        try pool.tiers.init(options.source, &pool.meta, .{
            .size_max = options.size_max,
            .huge_pages = options.huge_pages,
            .idle_size_max = options.idle_size_max,
        });
        pool.tiers.small.ledger.tag_count = &pool.tags.count;
    }

    /// Ends the pool if no block is live, and tells so. Otherwise nothing more can be allocated,
    /// what is live stays good, and once it is freed `close` ends the pool.
    pub fn close(pool: *HybridMemoryPool) bool {
        pool.closed.store(true, .monotonic);
        pool.short_way_size_end.store(0, .monotonic);
        pool.ready_size_max.store(0, .monotonic);
        if (pool.watch) |watch| watch.dismissAll();
        if (pool.liveCount() > 0) return false;
        pool.destroy();
        return true;
    }

    /// Ends the pool and all blocks in it, whoever uses them.
    pub fn destroy(pool: *HybridMemoryPool) void {
        if (pool.watch) |watch| watch.deinit();
        pool.tiers.deinit();
        var meta = pool.meta;
        meta.deinit();
    }

    /// The tag of this name, one of at most 63.
    pub fn tag(pool: *HybridMemoryPool, name: []const u8) names.Error!Tag {
        return @enumFromInt(try pool.tags.intern(name));
    }

    /// The label of a place that allocates.
    pub fn label(pool: *HybridMemoryPool, name: []const u8) names.Error!u32 {
        return pool.labels.intern(name);
    }

    pub inline fn allocate(pool: *HybridMemoryPool, request: Request) Error![]u8 {
        if (request.alignment <= 16 and !request.zeroed) {
            if (pool.allocateReady(request.size, request.tag)) |memory| return memory;
        }
        // In registers: a struct would be written out before the branch, needed or not.
        const manner: Manner = .{ .zeroed = request.zeroed, .sparse = request.sparse };
        const size = request.size;
        return pool.allocateLong(size, request.alignment, manner, request.tag, request.label);
    }

    /// A block of less than 1 MiB, aligned to 16, that lies ready for this thread. Null where there
    /// is none, which says nothing of what `allocate` would give.
    pub inline fn allocateReady(pool: *HybridMemoryPool, size: usize, tag_of_block: Tag) ?[]u8 {
        const class = if (size -% 1 < pool.ready_size_max.load(.monotonic))
            size_class.ofTabled(size)
        else if (size -% 1 < pool.short_way_size_end.load(.monotonic)) by_formula: {
            @branchHint(.unlikely);
            break :by_formula size_class.of(size);
        } else return null;
        const seat = pool.tiers.small.ownSeat() orelse return null;
        const cache = seat.cache;
        const memory = cache.allocateQuick(class) orelse return null;
        count(cache, pool.tagOf(tag_of_block), size);
        return memory[0..size];
    }

    /// As `allocateReady` where nothing lies ready: takes new spans and what others have freed.
    fn allocateSmall(pool: *HybridMemoryPool, size: usize, tag_of_block: Tag) ?[]u8 {
        if (size -% 1 >= pool.short_way_size_end.load(.monotonic)) return null;
        const seat = pool.tiers.small.ownSeat() orelse return null;
        const cache = seat.cache;
        pool.tiers.small.ledger.tell(cache);
        const memory = cache.allocateSlow(size_class.of(size)) orelse return null;
        count(cache, pool.tagOf(tag_of_block), size);
        return memory[0..size];
    }

    const Manner = packed struct(u8) { zeroed: bool, sparse: bool, reserved: u6 = 0 };

    noinline fn allocateLong(
        pool: *HybridMemoryPool,
        size: usize,
        alignment: usize,
        manner: Manner,
        tag_of_block: Tag,
        label_of_block: u32,
    ) Error![]u8 {
        const request: Request = .{
            .size = size,
            .alignment = alignment,
            .tag = tag_of_block,
            .zeroed = manner.zeroed,
            .sparse = manner.sparse,
            .label = label_of_block,
        };
        if (pool.watch) |watch| return watch.allocate(request, @returnAddress());
        if (alignment <= 16 and !manner.zeroed) {
            if (pool.allocateSmall(size, tag_of_block)) |memory| return memory;
        }
        const memory = try pool.allocateRaw(request.shape());
        pool.countAllocated(request.tag, request.size);
        return memory[0..request.size];
    }

    /// `memory` and `tag` are those of the allocation.
    pub inline fn free(
        pool: *HybridMemoryPool,
        memory: []u8,
        tag_of_block: Tag,
    ) FreeError!void {
        if (memory.len -% 1 < pool.short_way_size_end.load(.monotonic)) {
            @branchHint(.likely);
            const unit = spans.unitOf(memory.ptr);
            const cache = unit.owner;
            if (cache.thread.load(.monotonic) == thread_id.pointer()) {
                countFree(cache, pool.tagOf(tag_of_block), memory.len);
                const span = spans.spanOf(memory.ptr, unit);
                return cache.freeOwn(span, spans.asNode(memory.ptr));
            }
            return pool.freeOther(memory, tag_of_block);
        }
        return pool.freeLong(memory, tag_of_block);
    }

    /// Frees a small block that lies in another thread's span.
    noinline fn freeOther(
        pool: *HybridMemoryPool,
        memory: []u8,
        tag_of_block: Tag,
    ) FreeError!void {
        const seat = pool.tiers.small.ownSeat() orelse
            return pool.freeLong(memory, tag_of_block);
        const cache = seat.cache;
        const unit = spans.unitOf(memory.ptr);
        if (unit.owner.small != &pool.tiers.small) return error.ForeignPointer;
        countFree(cache, pool.tagOf(tag_of_block), memory.len);
        cache.send(unit, spans.asNode(memory.ptr));
    }

    noinline fn freeLong(
        pool: *HybridMemoryPool,
        memory: []u8,
        tag_of_block: Tag,
    ) FreeError!void {
        if (pool.watch) |watch| return watch.free(memory);
        try pool.freeRaw(memory);
        pool.countFreed(tag_of_block, memory.len);
    }

    /// Without a count of tags and without watch; those who do that call it.
    pub fn allocateRaw(pool: *HybridMemoryPool, shape: tiers.Shape) Error![*]u8 {
        if (pool.closed.load(.monotonic)) return error.PoolClosed;
        var reclaims: u32 = 0;
        while (true) : (reclaims += 1) {
            return pool.tiers.allocate(shape) catch |err| {
                switch (err) {
                    error.InvalidSize, error.InvalidAlignment => return err,
                    error.OutOfMemory, error.LimitReached => {},
                }
                if (reclaims <= reclaims_max and pool.makeRoom(shape.size, reclaims == 0)) continue;
                _ = pool.refused_count.fetchAdd(1, .monotonic);
                return err;
            };
        }
    }

    /// Tells whether another try is worth it.
    fn makeRoom(pool: *HybridMemoryPool, size: usize, is_first: bool) bool {
        if (!is_first) {
            const reclaimer = pool.options.reclaimer orelse return false;
            if (!reclaimer.reclaim(reclaimer.context, size)) return false;
        }
        pool.trim();
        return true;
    }

    /// `memory` has the size given to `allocateRaw`.
    pub fn freeRaw(pool: *HybridMemoryPool, memory: []u8) FreeError!void {
        return pool.tiers.free(memory);
    }

    pub fn countAllocated(pool: *HybridMemoryPool, tag_of_block: Tag, size: usize) void {
        const cache = pool.tiers.enter();
        defer pool.tiers.leave(cache);
        count(cache, pool.tagOf(tag_of_block), size);
        pool.tiers.small.ledger.tell(cache);
    }

    pub fn countFreed(pool: *HybridMemoryPool, tag_of_block: Tag, size: usize) void {
        const cache = pool.tiers.enter();
        defer pool.tiers.leave(cache);
        countFree(cache, pool.tagOf(tag_of_block), size);
        pool.tiers.small.ledger.tell(cache);
    }

    inline fn tagOf(pool: *const HybridMemoryPool, tag_of_block: Tag) u6 {
        return @as(u6, @truncate(@intFromEnum(tag_of_block))) & pool.tag_mask;
    }

    /// Live blocks, by the counters of all threads.
    pub fn liveCount(pool: *const HybridMemoryPool) u64 {
        var live: u64 = 0;
        var next = pool.tiers.small.caches.load(.acquire);
        while (next) |cache| : (next = cache.next) {
            for (&cache.tags) |*of_tag| {
                live +%= @atomicLoad(u64, &of_tag.allocated, .monotonic);
                live -%= @atomicLoad(u64, &of_tag.freed, .monotonic);
            }
        }
        return live;
    }

    /// Sets what may be held from now on; what is held already stays.
    pub fn setLimit(pool: *HybridMemoryPool, size_max: u64) void {
        pool.tiers.limit.max.store(size_max, .monotonic);
    }

    /// Gives back to the system what is free, as far as it can be had without stopping a thread.
    pub fn trim(pool: *HybridMemoryPool) void {
        if (pool.watch) |watch| watch.dismissAll();
        pool.tiers.trim();
    }

    /// Tells of a mapped file that someone holds beside the pool: negative when it is gone.
    pub fn noteMappedFile(pool: *HybridMemoryPool, change: i64) void {
        _ = pool.mapped_files.fetchAdd(@bitCast(change), .monotonic);
    }
};

/// Counts an allocation on its own thread. The ledger is told of many at a time.
inline fn count(cache: *Cache, tag: u6, size: usize) void {
    const of_tag = &cache.tags[tag];
    bump(&of_tag.size, size);
    bump(&of_tag.allocated, 1);
}

inline fn countFree(cache: *Cache, tag: u6, size: usize) void {
    const of_tag = &cache.tags[tag];
    bump(&of_tag.size, 0 -% size);
    bump(&of_tag.freed, 1);
}

/// Adds to a counter that this thread alone writes and others read.
inline fn bump(counter: *u64, by: u64) void {
    @atomicStore(u64, counter, counter.* +% by, .monotonic);
}
