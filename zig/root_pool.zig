//! The C ABI of memory pools, as root.zig for all else. A pool is a handle that each of its owners
//! holds; 0 is the engine's own. An owner calls nothing after its release.
//!
//! `bn_pool_allocate` and `bn_pool_free` are called for every block, so they take and give numbers
//! alone: an address, or in its place a status below zero.

const std = @import("std");
const abi = @import("abi.zig");
const engine = @import("memory/engine.zig");
const explain = @import("memory/explain.zig");
const failure = @import("failure.zig");
const hybrid = @import("memory/hybrid.zig");
const Names = @import("memory/names.zig").Names;
const pool_handles = @import("memory/pool_handles.zig");
const pool_metrics = @import("memory/pool_metrics.zig");
const pool_tables = @import("memory/pool_tables.zig");
const regions = @import("memory/regions.zig");

const HybridMemoryPool = hybrid.HybridMemoryPool;
const Status = abi.Status;
const fail = failure.fail;

export fn bn_pool_create(options: *const abi.PoolOptions, handle: *u32) Status {
    if (options.level > @intFromEnum(abi.PoolLevel.detailed)) {
        return fail(.invalid_argument, "no such level of tracking", .{});
    }
    handle.* = pool_handles.create(.{
        .size_max = if (options.size_max == 0) std.math.maxInt(u64) else options.size_max,
        .level = @enumFromInt(options.level),
        .debug = options.flags & @intFromEnum(abi.PoolFlag.debug) != 0,
        .huge_pages = options.flags & @intFromEnum(abi.PoolFlag.small_pages) == 0,
        .idle_size_max = if (options.flags & @intFromEnum(abi.PoolFlag.idle_limited) != 0)
            options.idle_size_max
        else
            null,
    }) catch |err| return switch (err) {
        error.OutOfMemory => failure.from(error.OutOfMemory),
        error.TooManyPools => fail(.out_of_memory, "{d} pools are open, which is the most", .{
            pool_handles.count_max,
        }),
    };
    return .ok;
}

/// What a pool was made with.
export fn bn_pool_options(handle: u32, options: *abi.PoolOptions) Status {
    const pool = pool_handles.find(handle) orelse return noPool();
    const debug = if (pool.options.debug) @intFromEnum(abi.PoolFlag.debug) else 0;
    const small = if (pool.options.huge_pages) 0 else @intFromEnum(abi.PoolFlag.small_pages);
    const idle_size_max = pool.options.idle_size_max;
    const idle = if (idle_size_max != null) @intFromEnum(abi.PoolFlag.idle_limited) else 0;
    const size_max = pool.tiers.limit.max.load(.monotonic);
    options.* = .{
        .size_max = if (size_max == std.math.maxInt(u64)) 0 else size_max,
        .idle_size_max = idle_size_max orelse 0,
        .level = @intFromEnum(pool.options.level),
        .flags = debug | small | idle,
    };
    return .ok;
}

/// One owner more, in this thread or another.
export fn bn_pool_hold(handle: u32) Status {
    pool_handles.hold(handle) catch |err| return failure.from(err);
    return .ok;
}

/// One owner less; with the last one the pool ends, and every block in it.
export fn bn_pool_release(handle: u32) Status {
    pool_handles.release(handle) catch |err| return failure.from(err);
    return .ok;
}

/// As `bn_region_forgetter`: releases the pool whose handle is its context.
export fn bn_pool_forgetter(address: *f64) Status {
    address.* = @floatFromInt(@intFromPtr(&forgetPool));
    return .ok;
}

fn forgetPool(_: ?*anyopaque, context: ?*anyopaque) callconv(.c) void {
    const handle: u32 = @truncate(@intFromPtr(context));
    pool_handles.release(handle) catch |err| switch (err) {
        error.InvalidHandle => {},
    };
}

/// `manner` has its parts where `abi.PoolManner` says.
export fn bn_pool_allocate(handle: u32, size: f64, manner: u32, label: u32) f64 {
    const pool = pool_handles.find(handle) orelse return negative(noPool());
    if (!(size >= 1 and size < 1 << 53)) return negative(failure.notWhole());
    const Manner = abi.PoolManner;
    const alignment_shift = @intFromEnum(Manner.alignment_log2_shift);
    const memory = pool.allocate(.{
        .size = toUsize(size),
        .alignment = @as(usize, 1) << @as(u5, @truncate(manner >> alignment_shift)),
        .tag = @enumFromInt(@as(u8, @truncate(manner))),
        .zeroed = manner & @intFromEnum(Manner.zeroed) != 0,
        .sparse = manner & @intFromEnum(Manner.sparse) != 0,
        .label = label,
    }) catch |err| return negative(refused(pool, err, size));
    return @floatFromInt(@intFromPtr(memory.ptr));
}

export fn bn_pool_free(handle: u32, address: f64, size: f64, tag: u32) Status {
    const pool = pool_handles.find(handle) orelse return noPool();
    if (!(address >= 1 and address < 1 << 53 and size >= 1 and size < 1 << 53)) {
        return failure.notWhole();
    }
    const memory = @as([*]u8, @ptrFromInt(toUsize(address)));
    pool.free(memory[0..toUsize(size)], @enumFromInt(@as(u8, @truncate(tag)))) catch |err| {
        const history: History = .{ .pool = pool, .address = toUsize(address) };
        return failure.failWith(switch (err) {
            error.DoubleFree => .double_free,
            error.ForeignPointer, error.WrongSize => .foreign_block,
            error.GuardDamaged => .guard_damaged,
        }, history, History.write);
    };
    return .ok;
}

/// A region over a block, which is the region's from now on: free it by releasing the region.
export fn bn_pool_region(handle: u32, address: f64, size: f64, tag: u32, region: *u32) Status {
    if (pool_handles.find(handle) == null) return noPool();
    if (!(address >= 1 and address < 1 << 53 and size >= 1 and size < 1 << 53)) {
        return failure.notWhole();
    }
    const start = toUsize(address);
    if (start % engine.alignment != 0) {
        return fail(.invalid_argument, "a region begins at a multiple of {d}", .{engine.alignment});
    }
    const memory = @as([*]align(engine.alignment) u8, @ptrFromInt(start))[0..toUsize(size)];
    region.* = regions.adopt(memory, .{
        .pool = handle,
        .tag = @enumFromInt(@as(u8, @truncate(tag))),
    }) catch |err| return failure.from(err);
    return .ok;
}

const History = struct {
    pool: *HybridMemoryPool,
    address: u64,

    fn write(history: History, buffer: []u8) []const u8 {
        return explain.block(history.pool, history.address, buffer);
    }
};

const Refused = struct {
    pool: *HybridMemoryPool,
    size: u64,

    fn write(refusal: Refused, buffer: []u8) []const u8 {
        return explain.limit(refusal.pool, refusal.size, buffer);
    }
};

fn refused(pool: *HybridMemoryPool, err: hybrid.Error, size: f64) Status {
    const refusal: Refused = .{ .pool = pool, .size = toUsize(size) };
    return switch (err) {
        error.InvalidSize => fail(.out_of_memory, "no system has that much", .{}),
        error.InvalidAlignment => fail(.invalid_argument, "no block is aligned like that", .{}),
        error.PoolClosed => noPool(),
        error.LimitReached => failure.failWith(.limit_reached, refusal, Refused.write),
        error.OutOfMemory => failure.failWith(.out_of_memory, refusal, Refused.write),
    };
}

/// The number of a tag or a label, its old one or a new one.
export fn bn_pool_number(
    handle: u32,
    kind: u32,
    name: [*]const u8,
    name_size: u32,
    number: *u32,
) Status {
    const pool = pool_handles.find(handle) orelse return noPool();
    number.* = namesOf(pool, kind).intern(name[0..name_size]) catch |err| return switch (err) {
        error.OutOfMemory => failure.from(error.OutOfMemory),
        error.TooManyNames => fail(.invalid_argument, "the pool knows no more names", .{}),
        error.NameTooLong => fail(.invalid_argument, "the name is too long", .{}),
    };
    return .ok;
}

/// Copies the name of a tag or label, UTF-8 without a zero, and returns its size.
export fn bn_pool_name(handle: u32, kind: u32, number: u32, buffer: [*]u8, size: u32) u32 {
    const pool = pool_handles.find(handle) orelse return 0;
    const name = namesOf(pool, kind).of(number);
    const count = @min(name.len, size);
    @memcpy(buffer[0..count], name[0..count]);
    return @intCast(count);
}

fn namesOf(pool: *HybridMemoryPool, kind: u32) *Names {
    return if (kind == @intFromEnum(abi.PoolNameKind.tag)) &pool.tags else &pool.labels;
}

export fn bn_pool_metrics(handle: u32, metrics: *abi.PoolMetrics) Status {
    const pool = pool_handles.find(handle) orelse return noPool();
    metrics.* = pool_metrics.read(pool);
    return .ok;
}

/// Copies as many entries as `size` bytes hold; `count` gets how many there are.
export fn bn_pool_read(handle: u32, table: u32, entries: [*]u8, size: u32, count: *u32) Status {
    const pool = pool_handles.find(handle) orelse return noPool();
    const tables = @typeInfo(abi.PoolTable).@"enum".fields.len;
    if (table >= tables) return fail(.invalid_argument, "no such table", .{});
    count.* = pool_tables.read(pool, @enumFromInt(table), entries[0..size]);
    return .ok;
}

/// Copies what is known of the block at an address, in words, and returns the text's size.
export fn bn_pool_explain(handle: u32, address: f64, buffer: [*]u8, size: u32) u32 {
    const pool = pool_handles.find(handle) orelse return 0;
    const place = failure.whole(address) orelse return 0;
    return @intCast(explain.block(pool, place, buffer[0..size]).len);
}

/// Looks at the guards of every live block in debug mode; `damaged` gets how many are not whole.
export fn bn_pool_validate(handle: u32, damaged: *f64) Status {
    const pool = pool_handles.find(handle) orelse return noPool();
    damaged.* = if (pool.watch) |watch| @floatFromInt(watch.validate()) else 0;
    return .ok;
}

export fn bn_pool_trim(handle: u32) Status {
    const pool = pool_handles.find(handle) orelse return noPool();
    pool.trim();
    return .ok;
}

fn noPool() Status {
    return fail(.invalid_handle, "no such pool, or already closed", .{});
}

fn negative(status: Status) f64 {
    return @floatFromInt(-@intFromEnum(status));
}

/// Of a double from 1 to below 2^53. By way of the signed integer, which is one instruction.
inline fn toUsize(value: f64) usize {
    return @intCast(@as(i64, @intFromFloat(value)));
}
