//! The process's own pool: every region, and what the core allocates for itself, lies in it under
//! a tag, so that it can tell at any time what is held and for what. It comes into being with the
//! first use and stays until the process ends, because buffers may be collected until then.

const std = @import("std");
const explain = @import("explain.zig");
const hybrid = @import("hybrid.zig");
const metrics = @import("pool_metrics.zig");
const Mutex = @import("../threads/sync.zig").Mutex;
const TaggedAllocator = @import("tagged_allocator.zig").TaggedAllocator;

const HybridMemoryPool = hybrid.HybridMemoryPool;

/// What a block of the engine is for.
pub const Tag = enum(u32) {
    weights,
    kv_cache,
    arena,
    input,
    staging,
    tensor,
    other,
    /// The core's own objects, and the scratch memory of its workers.
    bookkeeping,

    /// As people read it.
    fn text(tag: Tag) []const u8 {
        return if (tag == .kv_cache) "kv-cache" else @tagName(tag);
    }

    /// Tags are the first that the pool knows, behind that of untagged blocks.
    fn inPool(tag: Tag) hybrid.Tag {
        return @enumFromInt(@intFromEnum(tag) + 1);
    }
};

pub const tag_count = @typeInfo(Tag).@"enum".fields.len;

pub const Options = struct { level: hybrid.Level = .basic, debug: bool = false };

var mutex: Mutex = .{};
var shared: std.atomic.Value(?*HybridMemoryPool) = .init(null);
var wanted: Options = .{};

/// Chooses how closely the pool is watched; false when it is there already, watched otherwise.
pub fn configure(options: Options) bool {
    mutex.lock();
    defer mutex.unlock();
    if (shared.raw != null) return std.meta.eql(options, wanted);
    wanted = options;
    return true;
}

pub fn pool() error{OutOfMemory}!*HybridMemoryPool {
    return shared.load(.acquire) orelse open();
}

fn open() error{OutOfMemory}!*HybridMemoryPool {
    mutex.lock();
    defer mutex.unlock();
    if (shared.raw) |opened| return opened;
    const opened: *HybridMemoryPool = try .create(.{
        .level = wanted.level,
        .debug = wanted.debug,
    });
    for (std.enums.values(Tag)) |tag| {
        const number = opened.tag(tag.text()) catch unreachable; // there is room for 63
        std.debug.assert(number == tag.inPool());
    }
    bookkeeping.pool = opened;
    shared.store(opened, .release);
    return opened;
}

pub const Request = struct {
    size: usize,
    tag: Tag,
    /// Filled bit by bit: takes only the pages that are touched.
    sparse: bool = false,
    /// False where every byte is written before anyone reads it.
    zeroed: bool = true,
};

pub const alignment = 64;

/// A block, zeroed unless the request says otherwise.
pub fn allocate(request: Request) error{OutOfMemory}![]align(alignment) u8 {
    const memory = (try pool()).allocate(.{
        .size = request.size,
        .alignment = alignment,
        .tag = request.tag.inPool(),
        .zeroed = request.zeroed,
        .sparse = request.sparse,
    }) catch |err| {
        noteRefusal(request.size, err);
        return error.OutOfMemory;
    };
    return @alignCast(memory);
}

pub fn free(memory: []align(alignment) u8, tag: Tag) void {
    // Nobody but the core has the block's address and size: they are right.
    shared.raw.?.free(memory, tag.inPool()) catch |err| switch (err) {
        // Debug mode has noted it for the report; the block is freed.
        error.GuardDamaged => {},
        error.ForeignPointer, error.DoubleFree, error.WrongSize => unreachable,
    };
}

/// For objects of the core itself.
pub const gpa: std.mem.Allocator = .{ .ptr = &bookkeeping, .vtable = &.{
    .alloc = allocateObject,
    .resize = std.mem.Allocator.noResize,
    .remap = std.mem.Allocator.noRemap,
    .free = TaggedAllocator.free,
} };

var bookkeeping: TaggedAllocator = .{
    .pool = undefined,
    .tag = Tag.bookkeeping.inPool(),
    .refused = noteRefusal,
};

fn allocateObject(
    raw: *anyopaque,
    size: usize,
    object_alignment: std.mem.Alignment,
    return_address: usize,
) ?[*]u8 {
    // The first object opens the pool.
    _ = pool() catch return null;
    return TaggedAllocator.alloc(raw, size, object_alignment, return_address);
}

const Refusal = struct { size: u64, by_limit: bool };

threadlocal var refusal: ?Refusal = null;

fn noteRefusal(size: usize, err: hybrid.Error) void {
    refusal = .{ .size = size, .by_limit = err == error.LimitReached };
}

/// Why this thread's last allocation was refused and who holds what, in words; told once.
pub fn takeRefusal(buffer: []u8) []const u8 {
    const told = refusal orelse return "the system has no memory left";
    refusal = null;
    const reason = if (told.by_limit) "the memory limit is reached: " else "the system refuses: ";
    @memcpy(buffer[0..reason.len], reason);
    const holders = explain.limit(shared.raw.?, told.size, buffer[reason.len..]);
    return buffer[0 .. reason.len + holders.len];
}

/// Gives back to the system what is free and tells by how much less may be resident.
pub fn trim() u64 {
    const opened = shared.load(.acquire) orelse return 0;
    const before = metrics.read(opened).total;
    opened.trim();
    return before -| metrics.read(opened).total;
}

/// Bytes that blocks of each tag hold.
pub const Holdings = struct { used: [tag_count]u64, pool: metrics.Metrics };

pub fn holdings() Holdings {
    const opened = pool() catch
        return .{ .used = @splat(0), .pool = std.mem.zeroes(metrics.Metrics) };
    var totals: [hybrid.tag_count]metrics.TagMetrics = undefined;
    metrics.readTags(opened, &totals);
    var now: Holdings = .{ .used = undefined, .pool = metrics.read(opened) };
    for (&now.used, std.enums.values(Tag)) |*used, tag| {
        used.* = totals[@intFromEnum(tag.inPool())].used;
    }
    return now;
}

test "engine: blocks count under their tags, and a refusal says who holds what" {
    const before = holdings();
    const weights = try allocate(.{ .size = 3 << 20, .tag = .weights });
    const object = try gpa.create([100]u64);
    const now = holdings();
    const of_weights = @intFromEnum(Tag.weights);
    const of_objects = @intFromEnum(Tag.bookkeeping);
    try std.testing.expectEqual(before.used[of_weights] + (3 << 20), now.used[of_weights]);
    try std.testing.expectEqual(before.used[of_objects] + 800, now.used[of_objects]);

    const opened = try pool();
    opened.setLimit(opened.tiers.limit.held.raw + (1 << 20));
    defer opened.setLimit(std.math.maxInt(u64));
    const refused = allocate(.{ .size = 5 << 20, .tag = .tensor });
    try std.testing.expectError(error.OutOfMemory, refused);
    var buffer: [400]u8 = undefined;
    const text = takeRefusal(&buffer);
    const start = "the memory limit is reached: wanted 5.0MiB, the pool holds ";
    try std.testing.expectStringStartsWith(text, start);
    try std.testing.expect(std.mem.indexOf(u8, text, "weights 3.0MiB in 1") != null);
    try std.testing.expectEqualStrings("the system has no memory left", takeRefusal(&buffer));
    free(weights, .weights);
    gpa.destroy(object);
    try std.testing.expectEqual(before.used, holdings().used);
}
