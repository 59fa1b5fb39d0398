//! The path of a watched pool: each block has a record (tracking.zig), and in debug mode guards,
//! poison and a quarantine (debug.zig). A block that is not on record is not freed.

const std = @import("std");
const debugs = @import("debug.zig");
const hybrid = @import("hybrid.zig");
const thread_id = @import("thread_id.zig");
const timeline = @import("timeline.zig");
const tracks = @import("tracking.zig");

const Debug = debugs.Debug;
const HybridMemoryPool = hybrid.HybridMemoryPool;
const Record = tracks.Record;
const Tracking = tracks.Tracking;

pub const Watch = struct {
    pool: *HybridMemoryPool,
    tracking: Tracking,
    debug: ?Debug,

    pub fn init(watch: *Watch, pool: *HybridMemoryPool) error{OutOfMemory}!void {
        // Debug mode remembers freed blocks, to tell a second free from a foreign pointer.
        const level: tracks.Level = if (pool.options.debug) .detailed else pool.options.level;
        watch.* = .{
            .pool = pool,
            .tracking = try .init(&pool.meta, level, hybrid.tag_count),
            .debug = if (pool.options.debug) try .init(&pool.meta) else null,
        };
    }

    pub fn deinit(watch: *Watch) void {
        watch.tracking.deinit();
    }

    pub fn allocate(
        watch: *Watch,
        request: hybrid.Request,
        return_address: usize,
    ) hybrid.Error![]u8 {
        const memory = watch.allocateFramed(request) catch |err| {
            watch.tell(.refuse, .{ .address = 0, .size = request.size }, request);
            return err;
        };
        errdefer watch.freeFramed(memory, request.alignment);
        const is_detailed = watch.tracking.level == .detailed;
        try watch.tracking.add(.{
            .address = @intFromPtr(memory.ptr),
            .size = memory.len,
            .allocated_ns = watch.tracking.now(),
            .thread = thread_id.current(),
            .return_address = if (is_detailed) return_address else 0,
            .label = request.label,
            .tag = @intFromEnum(request.tag) & watch.pool.tag_mask,
            .alignment_log2 = std.math.log2_int(usize, request.alignment),
        });
        watch.pool.countAllocated(request.tag, memory.len);
        const place: Place = .{ .address = @intFromPtr(memory.ptr), .size = memory.len };
        watch.tell(.allocate, place, request);
        return memory;
    }

    fn allocateFramed(watch: *Watch, request: hybrid.Request) hybrid.Error![]u8 {
        const pool = watch.pool;
        const size = request.size;
        var shape = request.shape();
        if (watch.debug == null) return (try pool.allocateRaw(shape))[0..size];
        if (size == 0) return error.InvalidSize;
        const frame: debugs.Frame = .of(request.alignment);
        shape.size = std.math.add(usize, size, frame.size) catch return error.InvalidSize;
        const raw = try pool.allocateRaw(shape);
        const memory = raw[frame.before..][0..size];
        // Who reads what was never written is to see it.
        if (!request.zeroed) debugs.poison(memory);
        debugs.guard(memory, request.alignment);
        return memory;
    }

    fn freeFramed(watch: *Watch, memory: []u8, alignment: usize) void {
        var whole = memory;
        if (watch.debug != null) {
            const frame: debugs.Frame = .of(alignment);
            whole = (memory.ptr - frame.before)[0 .. memory.len + frame.size];
        }
        watch.pool.freeRaw(whole) catch unreachable; // it is on record
    }

    pub fn free(watch: *Watch, memory: []u8) hybrid.FreeError!void {
        const address = @intFromPtr(memory.ptr);
        const known = watch.tracking.find(address) orelse return watch.refuse(address);
        if (known.size != memory.len) {
            watch.note(.wrong_size, address);
            return error.WrongSize;
        }
        var record = watch.tracking.remove(address) orelse return watch.refuse(address);
        record.freed_ns = watch.tracking.now();
        record.freed_thread = thread_id.current();
        watch.tracking.bury(record);
        watch.pool.countFreed(@enumFromInt(record.tag), memory.len);
        watch.tell(.free, .{ .address = address, .size = memory.len }, .{
            .size = memory.len,
            .tag = @enumFromInt(record.tag),
            .label = record.label,
        });
        const alignment = @as(usize, 1) << @intCast(record.alignment_log2);
        if (watch.debug) |*debug| {
            const damage = debugs.checkGuards(memory, alignment);
            debugs.poison(memory);
            if (!debug.admit(record)) watch.freeFramed(memory, alignment);
            while (debug.dismiss(false)) |old| watch.dismiss(old);
            if (damage) |kind| {
                watch.note(kind, address);
                return error.GuardDamaged;
            }
        } else {
            watch.freeFramed(memory, alignment);
        }
    }

    fn refuse(watch: *Watch, address: usize) hybrid.FreeError {
        if (watch.tracking.lastFreed(address) != null) {
            watch.note(.double_free, address);
            return error.DoubleFree;
        }
        watch.note(.foreign_pointer, address);
        return error.ForeignPointer;
    }

    fn note(watch: *Watch, kind: debugs.FaultKind, address: usize) void {
        if (watch.debug) |*debug| {
            debug.note(.{ .kind = kind, .address = address, .time_ns = watch.tracking.now() });
        }
    }

    /// Lets a freed block out of the quarantine, after a look at its poison.
    fn dismiss(watch: *Watch, record: Record) void {
        const memory = @as([*]u8, @ptrFromInt(record.address))[0..@intCast(record.size)];
        if (!debugs.isPoisoned(memory)) watch.note(.written_after_free, record.address);
        watch.freeFramed(memory, @as(usize, 1) << @intCast(record.alignment_log2));
    }

    /// Empties the quarantine.
    pub fn dismissAll(watch: *Watch) void {
        if (watch.debug) |*debug| {
            while (debug.dismiss(true)) |record| watch.dismiss(record);
        }
    }

    /// Looks at the guards of every live block, and notes and counts those that are damaged. No
    /// block may be freed meanwhile.
    pub fn validate(watch: *Watch) u64 {
        if (watch.debug == null) return 0;
        var damaged: u64 = 0;
        for (watch.tracking.shards) |*shard| {
            shard.mutex.lock();
            defer shard.mutex.unlock();
            var records = shard.records.valueIterator();
            while (records.next()) |record| {
                const memory = @as([*]u8, @ptrFromInt(record.address))[0..@intCast(record.size)];
                const alignment = @as(usize, 1) << @intCast(record.alignment_log2);
                const kind = debugs.checkGuards(memory, alignment) orelse continue;
                watch.note(kind, record.address);
                damaged += 1;
            }
        }
        return damaged;
    }

    const Place = struct { address: u64, size: u64 };

    fn tell(
        watch: *Watch,
        kind: timeline.EventKind,
        place: Place,
        request: hybrid.Request,
    ) void {
        const time_ns = watch.tracking.now();
        const used = watch.pool.tiers.small.ledger.usedNow();
        watch.tracking.ring.write(.{
            .time_ns = time_ns,
            .address = place.address,
            .size = place.size,
            .used = used,
            .thread = thread_id.current(),
            .label = request.label,
            .tag = @intFromEnum(request.tag),
            .kind = kind,
        });
        watch.tracking.history.note(.{
            .time_ns = time_ns,
            .used_max = used,
            .held_max = watch.pool.tiers.limit.held.load(.monotonic),
        });
    }
};
