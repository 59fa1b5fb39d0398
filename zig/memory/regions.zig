//! Regions: the buffers that Programs bind. All memory comes from the engine's pool under a tag;
//! mapped files are used in place, and the pool is told of them.

const std = @import("std");
const engine = @import("engine.zig");
const files = @import("files.zig");
const handles = @import("handles.zig");
const hybrid = @import("hybrid.zig");
const mapping = @import("mapping.zig");
const pool_handles = @import("pool_handles.zig");
const system_pages = @import("system_pages.zig");

pub const Mapping = mapping.Mapping;
pub const Advice = mapping.Advice;
pub const Mode = mapping.Mode;

pub const Error = error{ OutOfMemory, InvalidHandle, InUse, TooLarge } || mapping.Error;

/// No region is larger: far beyond any machine, and sums of offsets cannot overflow.
const size_max = 1 << 46;

const gpa = engine.gpa;

pub const Region = struct {
    memory: []align(engine.alignment) u8,
    kind: Kind,

    pub const Kind = union(enum) { pool: engine.Tag, block: Block, file: Mapping };

    pub fn destroy(region: *Region) void {
        switch (region.kind) {
            .pool => |tag| engine.free(region.memory, tag),
            .block => |block| block.free(region.memory),
            .file => |file| {
                noteFile(region.memory.len, -1);
                file.close();
            },
        }
        gpa.destroy(region);
    }

    fn part(region: *const Region, offset: u64, size: u64) error{TooLarge}![]u8 {
        const end = region.memory.len;
        if (offset > end or size > end - offset) return error.TooLarge;
        return region.memory[@intCast(offset)..][0..@intCast(size)];
    }
};

/// Of a pool of a program's own, which the region holds.
pub const Block = struct {
    pool: u32,
    tag: hybrid.Tag,

    fn free(block: Block, memory: []u8) void {
        const pool = pool_handles.find(block.pool).?;
        // Debug mode has noted a fault for the report.
        pool.free(memory, block.tag) catch {};
        pool_handles.drop(block.pool);
    }
};

pub var table: handles.Table(Region) = .{};

/// A region of `request.size` bytes, zeroed unless the request says otherwise.
pub fn create(request: engine.Request) Error!u32 {
    if (request.size == 0 or request.size > size_max) return error.TooLarge;
    const region = try allocate(request);
    errdefer region.destroy();
    return table.add(gpa, region);
}

/// A region outside the table, owned by the caller: arenas and input copies.
pub fn allocate(request: engine.Request) error{OutOfMemory}!*Region {
    const region = try gpa.create(Region);
    errdefer gpa.destroy(region);
    region.* = .{
        .memory = try engine.allocate(request),
        .kind = .{ .pool = request.tag },
    };
    return region;
}

/// A region over a block that is there already, which it frees in the end.
pub fn adopt(memory: []align(engine.alignment) u8, block: Block) Error!u32 {
    try pool_handles.keep(block.pool);
    errdefer pool_handles.drop(block.pool);
    const region = try gpa.create(Region);
    errdefer gpa.destroy(region);
    region.* = .{ .memory = memory, .kind = .{ .block = block } };
    return table.add(gpa, region);
}

/// A part of a file, in place.
pub fn mapFile(source: Source, mode: Mode) Error!u32 {
    const is_aligned = source.offset % mapping.offset_alignment == 0;
    if (source.size == 0 or source.size > size_max or !is_aligned) return error.TooLarge;
    const file: Mapping = try .open(.{
        .path = source.path,
        .offset = source.offset,
        .size = @intCast(source.size),
    }, mode);
    errdefer file.close();
    const region = try gpa.create(Region);
    errdefer gpa.destroy(region);
    region.* = .{ .memory = file.memory, .kind = .{ .file = file } };
    const handle = try table.add(gpa, region);
    noteFile(file.memory.len, 1);
    return handle;
}

fn noteFile(size: usize, sign: i2) void {
    const pool = engine.pool() catch unreachable; // the region itself lies in it
    pool.noteMappedFile(sign * @as(i64, @intCast(size)));
}

pub const Source = struct { path: []const u8, offset: u64, size: u64 };

/// Fills part of a region from a file, checked: a short file is an error.
pub fn readFile(handle: u32, offset: u64, source: Source) Error!void {
    const region = try table.hold(handle);
    defer table.drop(handle);
    if (region.kind == .file) return error.InvalidHandle;
    const part = try region.part(offset, source.size);
    const file = try files.File.open(source.path);
    defer file.close();
    try file.readAt(part, source.offset);
}

/// An error if the mapped file under a region has become too short for it.
pub fn checkFile(handle: u32) Error!void {
    const region = try table.hold(handle);
    defer table.drop(handle);
    if (region.kind == .file) try region.kind.file.check();
}

/// Tells the system how a part of a mapped file will be used; other regions take no advice.
pub fn advise(handle: u32, advice: Advice, offset: u64, size: u64) Error!void {
    const region = try table.hold(handle);
    defer table.drop(handle);
    const part = try region.part(offset, size);
    if (region.kind == .file) region.kind.file.advise(advice, @intCast(offset), part.len);
}

/// Gives the whole pages of a part back to the system and tells how many bytes they are. What the
/// part holds afterwards is not defined. Refused while a run uses the region.
pub fn discard(handle: u32, offset: u64, size: u64) Error!u64 {
    const region = try table.holdAlone(handle);
    defer table.drop(handle);
    if (region.kind == .file) return error.InvalidHandle;
    const part = try region.part(offset, size);
    return system_pages.discardWithin(part);
}

test "regions: what is created is zeroed, tagged, and gone after its release" {
    const before = engine.holdings();
    const small = try create(.{ .size = 1000, .tag = .staging });
    const large = try create(.{ .size = 3 << 20, .tag = .kv_cache, .sparse = true });
    const region = try table.hold(large);
    for (region.memory) |byte| try std.testing.expectEqual(@as(u8, 0), byte);
    table.drop(large);
    const now = engine.holdings();
    const of_staging = @intFromEnum(engine.Tag.staging);
    const of_cache = @intFromEnum(engine.Tag.kv_cache);
    try std.testing.expectEqual(before.used[of_staging] + 1000, now.used[of_staging]);
    try std.testing.expectEqual(before.used[of_cache] + (3 << 20), now.used[of_cache]);
    try std.testing.expectEqual(2 << 20, try discard(large, 1 << 20, 2 << 20));
    try std.testing.expectEqual(0, try discard(small, 0, 1000));
    try std.testing.expectError(error.TooLarge, discard(large, 1, 3 << 20));
    try table.release(small);
    try table.release(large);
    const after = engine.holdings();
    try std.testing.expectEqual(before.used[of_staging], after.used[of_staging]);
    try std.testing.expectEqual(before.used[of_cache], after.used[of_cache]);
    try std.testing.expectError(error.TooLarge, create(.{ .size = 1 << 60, .tag = .other }));
    const nowhere: Source = .{ .path = "no/such/file", .offset = 0, .size = 10 };
    try std.testing.expectError(error.FileNotFound, mapFile(nowhere, .read_only));
}

test "regions: one over a block keeps it and its pool as long as it is held" {
    const pool = try pool_handles.create(.{});
    const opened = pool_handles.find(pool).?;
    const memory = try opened.allocate(.{ .size = 1000, .alignment = engine.alignment });
    const region = try adopt(@alignCast(memory), .{ .pool = pool, .tag = .untagged });
    const held = try table.hold(region);
    try table.release(region);
    try pool_handles.release(pool);
    held.memory[999] = 1;
    try std.testing.expectEqual(1, opened.liveCount());
    table.drop(region);
    try std.testing.expectEqual(null, pool_handles.find(pool));
}
