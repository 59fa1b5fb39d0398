//! The C ABI and nothing else, with root_pool.zig, its part about pools: unpack, check, call, map
//! the error. Every function that can fail returns an `abi.Status`; `bn_error_text` has the reason
//! of the last failure on this thread (failure.zig).

const std = @import("std");
const abi = @import("abi.zig");
const abi_hash = @import("abi_hash.zig");
const convert = @import("program/convert.zig");
const dispatch = @import("dispatch.zig");
const driver = @import("program/driver.zig");
const engine = @import("memory/engine.zig");
const failure = @import("failure.zig");
const os = @import("threads/os.zig");
const probe = @import("program/probe.zig");
const programs = @import("program/program.zig");
const regions = @import("memory/regions.zig");
const system_memory = @import("memory/system_memory.zig");
const validation = @import("program/validate.zig");

const Status = abi.Status;

const fail = failure.fail;
const from = failure.from;
const whole = failure.whole;
const noSuch = failure.noSuch;
const notWhole = failure.notWhole;

comptime {
    _ = @import("root_pool.zig");
}

export fn bn_core_hash() u32 {
    return abi_hash.value;
}

/// `isa_name` may be null for the best level; `threads` 0 means one a processor.
export fn bn_core_open(isa_name: ?[*]const u8, isa_name_size: u32, threads: u32) Status {
    const isa = if (isa_name) |name|
        std.meta.stringToEnum(abi.Isa, name[0..isa_name_size]) orelse
            return fail(.unsupported, "no such instruction-set level", .{})
    else
        dispatch.best();
    if (dispatch.available() & dispatch.bit(isa) == 0) {
        return fail(.unsupported, "this processor has no {t}", .{isa});
    }
    dispatch.select(isa);
    driver.setDefaultThreads(if (threads == 0) os.processorCount() else threads);
    return .ok;
}

export fn bn_core_info(info: *abi.CoreInfo) Status {
    info.* = .{
        .thread_count = driver.defaultThreads(),
        .thread_count_max = os.processorCount(),
        .isa_available = dispatch.available(),
        .isa = @intFromEnum(dispatch.selected()),
        .page_size = @intCast(std.heap.pageSize()),
    };
    return .ok;
}

/// Measures the machine for `seconds` with `threads` threads of its own.
export fn bn_core_probe(kind: u32, threads: u32, seconds: f64, result: *f64) Status {
    const kinds = @typeInfo(abi.Probe).@"enum".fields.len;
    if (kind >= kinds) return fail(.invalid_argument, "no such probe", .{});
    result.* = probe.measure(@enumFromInt(kind), threads, seconds) catch |err| return from(err);
    return .ok;
}

/// Of runs that begin from now on; a size of 0 is the core's own choice.
export fn bn_core_blocks(sizes: *const abi.BlockSizes) Status {
    driver.setBlockSizes(sizes.checked() orelse {
        return fail(.invalid_argument, "a size of blocks is out of range", .{});
    });
    return .ok;
}

/// Bytes a second of reading and writing so many bytes over and over; `past_caches` is 1 for stores
/// that go past them.
export fn bn_core_stream(
    read_size: f64,
    write_size: f64,
    past_caches: u32,
    threads: u32,
    seconds: f64,
    result: *f64,
) Status {
    result.* = probe.measureStreams(.{
        .read_size = @intCast(whole(read_size) orelse return notWhole()),
        .write_size = @intCast(whole(write_size) orelse return notWhole()),
        .past_caches = past_caches != 0,
    }, threads, seconds) catch |err| return from(err);
    return .ok;
}

/// Cancels every run and ends every thread of the core.
export fn bn_core_close() Status {
    driver.close();
    return .ok;
}

/// Copies the text of this thread's last error, UTF-8 without a zero, and returns its size.
export fn bn_error_text(buffer: [*]u8, size: u32) u32 {
    const text = failure.text();
    const count = @min(text.len, size);
    @memcpy(buffer[0..count], text[0..count]);
    return @intCast(count);
}

/// `tag` is an `abi.MemoryTag`; `flags` has bits of `abi.RegionFlag`: `sparse` for memory that
/// fills bit by bit, as a cache does, `uninitialised` where all is written before it is read.
export fn bn_region_create(size: f64, tag: u32, flags: u32, handle: *u32) Status {
    if (tag >= engine.tag_count) return fail(.invalid_argument, "no such memory tag", .{});
    handle.* = regions.create(.{
        .size = @intCast(whole(size) orelse return notWhole()),
        .tag = @enumFromInt(tag),
        .sparse = flags & @intFromEnum(abi.RegionFlag.sparse) != 0,
        .zeroed = flags & @intFromEnum(abi.RegionFlag.uninitialised) == 0,
    }) catch |err| return from(err);
    return .ok;
}

/// `offset` is a multiple of `map_alignment`.
export fn bn_region_map(
    path: [*]const u8,
    path_size: u32,
    offset: f64,
    size: f64,
    mode: u32,
    handle: *u32,
) Status {
    const map_mode = std.enums.fromInt(abi.MapMode, mode) orelse return noSuch("mode");
    handle.* = regions.mapFile(.{
        .path = path[0..path_size],
        .offset = whole(offset) orelse return notWhole(),
        .size = whole(size) orelse return notWhole(),
    }, map_mode) catch |err| return from(err);
    return .ok;
}

export fn bn_region_read(
    handle: u32,
    offset: f64,
    path: [*]const u8,
    path_size: u32,
    file_offset: f64,
    size: f64,
) Status {
    regions.readFile(handle, whole(offset) orelse return notWhole(), .{
        .path = path[0..path_size],
        .offset = whole(file_offset) orelse return notWhole(),
        .size = whole(size) orelse return notWhole(),
    }) catch |err| return from(err);
    return .ok;
}

/// The address is good until the region's release.
export fn bn_region_address(handle: u32, address: *f64) Status {
    const region = regions.table.hold(handle) catch |err| return from(err);
    defer regions.table.drop(handle);
    address.* = @floatFromInt(@intFromPtr(region.memory.ptr));
    return .ok;
}

/// `io` when the mapped file under the region has become too short.
export fn bn_region_check_file(handle: u32) Status {
    regions.checkFile(handle) catch |err| return from(err);
    return .ok;
}

export fn bn_region_advise(handle: u32, advice: u32, offset: f64, size: f64) Status {
    const map_advice = std.enums.fromInt(abi.MapAdvice, advice) orelse return noSuch("advice");
    const start = whole(offset) orelse return notWhole();
    const bytes = whole(size) orelse return notWhole();
    regions.advise(handle, map_advice, start, bytes) catch |err| return from(err);
    return .ok;
}

/// Gives whole pages of the part back to the system; `won` is set to their bytes.
export fn bn_region_discard(handle: u32, offset: f64, size: f64, won: *f64) Status {
    const start = whole(offset) orelse return notWhole();
    const bytes = whole(size) orelse return notWhole();
    won.* = @floatFromInt(regions.discard(handle, start, bytes) catch |err| return from(err));
    return .ok;
}

export fn bn_region_release(handle: u32) Status {
    regions.table.release(handle) catch |err| return from(err);
    return .ok;
}

/// The address of a deallocator for bun:ffi's `toArrayBuffer`: it releases the region whose handle
/// is its context, and does nothing where that happened already.
export fn bn_region_forgetter(address: *f64) Status {
    address.* = @floatFromInt(@intFromPtr(&forgetRegion));
    return .ok;
}

fn forgetRegion(_: ?*anyopaque, context: ?*anyopaque) callconv(.c) void {
    const handle: u32 = @truncate(@intFromPtr(context));
    regions.table.release(handle) catch |err| switch (err) {
        error.InvalidHandle, error.OutOfMemory => {},
    };
}

export fn bn_memory_system(memory: *abi.SystemMemory) Status {
    memory.* = system_memory.read() catch |err| return from(err);
    return .ok;
}

export fn bn_memory_metrics(metrics: *abi.MemoryMetrics) Status {
    const now = engine.holdings();
    metrics.* = std.mem.zeroes(abi.MemoryMetrics);
    metrics.peak = now.pool.peak_used;
    metrics.held = now.pool.held;
    metrics.total = now.pool.total;
    metrics.limit = if (now.pool.size_max == std.math.maxInt(u64)) 0 else now.pool.size_max;
    metrics.mapped = now.pool.mapped_files;
    metrics.region_count = regions.table.open_count;
    inline for (@typeInfo(abi.MemoryTag).@"enum".fields) |tag| {
        @field(metrics, "used_" ++ tag.name) = now.used[tag.value];
    }
    return .ok;
}

/// Shortens the tables of handles and gives what is free back to the system; `won` is set to the
/// bytes by which less may be resident.
export fn bn_memory_trim(won: *f64) Status {
    regions.table.compact(engine.gpa);
    programs.table.compact(engine.gpa);
    driver.tickets.compact(engine.gpa);
    won.* = @floatFromInt(engine.trim());
    return .ok;
}

/// How closely the engine's pool is watched, a tracking level and 1 for debug mode: before its
/// first use. Refused when it is in use already, otherwise watched.
export fn bn_memory_watch(level: u32, debug: u32) Status {
    if (level > @intFromEnum(abi.PoolLevel.detailed)) {
        return fail(.invalid_argument, "no such tracking level", .{});
    }
    if (engine.configure(.{ .level = @enumFromInt(level), .debug = debug != 0 })) return .ok;
    return fail(.invalid_argument, "the memory pool is in use already", .{});
}

/// Bytes that the engine's pool may hold; infinity is no limit.
export fn bn_memory_limit(size: f64) Status {
    const bytes = if (size == std.math.inf(f64))
        std.math.maxInt(u64)
    else
        whole(size) orelse return notWhole();
    const pool = engine.pool() catch |err| return from(err);
    pool.setLimit(bytes);
    return .ok;
}

/// Both arrays are lent for the call; what is lost is added to `loss`.
export fn bn_convert(
    source: [*]const u8,
    target: [*]u8,
    conversion: *const abi.Conversion,
    loss: *abi.ConversionLoss,
) Status {
    convert.now(source, target, conversion.*, loss) catch |err| return from(err);
    return .ok;
}

export fn bn_program_create(blob: [*]const u8, size: u32, handle: *u32) Status {
    var report: validation.Report = .{};
    const program = programs.Program.create(blob[0..size], abi_hash.value, &report) catch |err|
        switch (err) {
            error.OutOfMemory => return from(err),
            error.InvalidProgram => return fail(.invalid_program, "{s} {d}: {s}", .{
                report.part,
                report.index,
                report.reason,
            }),
        };
    handle.* = programs.table.add(engine.gpa, program) catch |err| {
        program.destroy();
        return from(err);
    };
    return .ok;
}

/// As `bn_region_forgetter`, for programs.
export fn bn_program_forgetter(address: *f64) Status {
    address.* = @floatFromInt(@intFromPtr(&forgetProgram));
    return .ok;
}

fn forgetProgram(_: ?*anyopaque, context: ?*anyopaque) callconv(.c) void {
    const handle: u32 = @truncate(@intFromPtr(context));
    programs.table.release(handle) catch |err| switch (err) {
        error.InvalidHandle, error.OutOfMemory => {},
    };
}

export fn bn_program_release(handle: u32) Status {
    programs.table.release(handle) catch |err| return from(err);
    return .ok;
}

export fn bn_run_now(program: u32, args: [*]const u8, size: u32, status: *abi.RunStatus) Status {
    driver.runNow(program, args[0..size], status) catch |err| return from(err);
    return .ok;
}

/// Runs and returns at the end, with threads where the Program is worth them.
export fn bn_run_here(program: u32, args: [*]const u8, size: u32, status: *abi.RunStatus) Status {
    driver.runHere(program, args[0..size], status) catch |err| return from(err);
    return .ok;
}

export fn bn_run_submit(program: u32, args: [*]const u8, size: u32, ticket: *u32) Status {
    ticket.* = driver.submit(program, args[0..size]) catch |err| return from(err);
    return .ok;
}

export fn bn_run_poll(ticket: u32, status: *abi.RunStatus) Status {
    const object = driver.tickets.hold(ticket) catch |err| return from(err);
    defer driver.tickets.drop(ticket);
    status.* = object.status();
    return .ok;
}

export fn bn_run_cancel(ticket: u32) Status {
    driver.cancel(ticket) catch |err| return from(err);
    return .ok;
}

/// Blocks this thread; `aborted` means that the time ran out and the run goes on.
export fn bn_run_wait(ticket: u32, timeout_ms: u32) Status {
    const timeout_ns = @as(u64, timeout_ms) * std.time.ns_per_ms;
    const ended = driver.wait(ticket, timeout_ns) catch |err| return from(err);
    return if (ended) .ok else fail(.aborted, "the run is not done after {d} ms", .{timeout_ms});
}

export fn bn_run_release(ticket: u32) Status {
    driver.release(ticket) catch |err| return from(err);
    return .ok;
}

/// As `bn_region_forgetter`, for runs, which are cancelled too.
export fn bn_run_forgetter(address: *f64) Status {
    address.* = @floatFromInt(@intFromPtr(&forgetRun));
    return .ok;
}

fn forgetRun(_: ?*anyopaque, context: ?*anyopaque) callconv(.c) void {
    const handle: u32 = @truncate(@intFromPtr(context));
    driver.release(handle) catch |err| switch (err) {
        error.InvalidHandle, error.OutOfMemory => {},
    };
}

export fn bn_notify_set(callback: ?*const fn () callconv(.c) void) Status {
    driver.setNotify(callback);
    return .ok;
}

export fn bn_notify_ack() Status {
    driver.acknowledge();
    return .ok;
}

/// Keeps up to `event_max` single instructions besides the sums.
export fn bn_profile_set(program: u32, on: u32, event_max: u32) Status {
    const object = programs.table.hold(program) catch |err| return from(err);
    defer programs.table.drop(program);
    object.setProfile(on != 0, event_max) catch |err| return from(err);
    return .ok;
}

/// Nanoseconds spent in each of the first `count` instructions since profiling began.
export fn bn_profile_read(program: u32, nanoseconds: [*]f64, count: u32) Status {
    const object = programs.table.hold(program) catch |err| return from(err);
    defer programs.table.drop(program);
    const profile = object.profile orelse return fail(.invalid_argument, "not profiled", .{});
    const times = profile.times;
    for (nanoseconds[0..@min(count, times.len)], times[0..@min(count, times.len)]) |*to, time| {
        to.* = @floatFromInt(time);
    }
    return .ok;
}

/// The first instructions that were kept, at most `max`; `count` is of all that ran.
export fn bn_profile_events(
    program: u32,
    events: [*]align(1) abi.ProfileEvent,
    max: u32,
    count: *f64,
) Status {
    const object = programs.table.hold(program) catch |err| return from(err);
    defer programs.table.drop(program);
    const profile = object.profile orelse return fail(.invalid_argument, "not profiled", .{});
    const seen = profile.event_count.load(.acquire);
    const kept: usize = @intCast(@min(seen, profile.events.len, max));
    for (events[0..kept], profile.events[0..kept]) |*to, event| to.* = event;
    count.* = @floatFromInt(seen);
    return .ok;
}
