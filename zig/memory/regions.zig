//! Regions: the buffers that Programs bind. Small ones come from the size-classed allocator, large
//! ones are whole pages, mapped files are used in place. Counts what is held and the most that was.

const std = @import("std");
const files = @import("files.zig");
const handles = @import("handles.zig");
const mapping = @import("mapping.zig");
const pages = @import("pages.zig");

pub const Mapping = mapping.Mapping;
pub const Advice = mapping.Advice;
pub const Mode = mapping.Mode;

pub const Error = error{ OutOfMemory, InvalidHandle, InUse, TooLarge } || mapping.Error;

/// From here on a region has pages of its own.
const direct_size_min = 1 << 20;
/// No region is larger: far beyond any machine, and sums of offsets cannot overflow.
const size_max = 1 << 46;
const alignment: std.mem.Alignment = .@"64";

/// Bookkeeping and small regions; thread-safe, without a C library.
pub const gpa = std.heap.smp_allocator;

pub const Region = struct {
    memory: []align(64) u8,
    kind: Kind,

    pub const Kind = union(enum) { small, pages, file: Mapping };

    pub fn destroy(region: *Region) void {
        switch (region.kind) {
            .small => gpa.free(region.memory),
            .pages => pages.free(@alignCast(region.memory)),
            .file => |file| file.close(),
        }
        const counter = if (region.kind == .file) &mapped else &used;
        _ = counter.fetchSub(region.memory.len, .monotonic);
        gpa.destroy(region);
    }

    fn part(region: *const Region, offset: u64, size: u64) error{TooLarge}![]u8 {
        const end = region.memory.len;
        if (offset > end or size > end - offset) return error.TooLarge;
        return region.memory[@intCast(offset)..][0..@intCast(size)];
    }
};

pub var table: handles.Table(Region) = .{};
var used: std.atomic.Value(u64) = .init(0);
var peak: std.atomic.Value(u64) = .init(0);
var mapped: std.atomic.Value(u64) = .init(0);

/// A zeroed region of `size` bytes.
pub fn create(size: u64, use: pages.Use) Error!u32 {
    if (size == 0 or size > size_max) return error.TooLarge;
    const region = try allocate(@intCast(size), use);
    errdefer region.destroy();
    return table.add(gpa, region);
}

/// A region outside the table, owned by the caller: arenas and input copies.
pub fn allocate(size: usize, use: pages.Use) error{OutOfMemory}!*Region {
    const region = try gpa.create(Region);
    errdefer gpa.destroy(region);
    if (size >= direct_size_min) {
        const memory = pages.allocate(size, use) orelse return error.OutOfMemory;
        region.* = .{ .memory = memory, .kind = .pages };
    } else {
        const memory = try gpa.alignedAlloc(u8, alignment, size);
        @memset(memory, 0);
        region.* = .{ .memory = memory, .kind = .small };
    }
    const now_used = used.fetchAdd(region.memory.len, .monotonic) + region.memory.len;
    _ = peak.fetchMax(now_used, .monotonic);
    return region;
}

/// The first `size` bytes of a file, in place.
pub fn mapFile(path: []const u8, size: u64, mode: Mode) Error!u32 {
    if (size == 0 or size > size_max) return error.TooLarge;
    const file: Mapping = try .open(path, @intCast(size), mode);
    errdefer file.close();
    const region = try gpa.create(Region);
    errdefer gpa.destroy(region);
    region.* = .{ .memory = file.memory, .kind = .{ .file = file } };
    const handle = try table.add(gpa, region);
    _ = mapped.fetchAdd(file.memory.len, .monotonic);
    return handle;
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
    return pages.discard(part);
}

pub const Metrics = struct { used: u64, peak: u64, mapped: u64, region_count: u32 };

pub fn metrics() Metrics {
    return .{
        .used = used.load(.monotonic),
        .peak = peak.load(.monotonic),
        .mapped = mapped.load(.monotonic),
        .region_count = table.open_count,
    };
}

test "regions: what is created is zeroed, counted, and gone after its release" {
    const before = metrics();
    const small = try create(1000, .dense);
    const large = try create(3 << 20, .sparse);
    const region = try table.hold(large);
    for (region.memory) |byte| try std.testing.expectEqual(@as(u8, 0), byte);
    table.drop(large);
    try std.testing.expectEqual(before.used + 1000 + (3 << 20), metrics().used);
    try std.testing.expectEqual(2 << 20, try discard(large, 1 << 20, 2 << 20));
    try std.testing.expectEqual(0, try discard(small, 0, 1000));
    try std.testing.expectError(error.TooLarge, discard(large, 1, 3 << 20));
    try table.release(small);
    try table.release(large);
    try std.testing.expectEqual(before.used, metrics().used);
    try std.testing.expectError(error.TooLarge, create(1 << 60, .dense));
    try std.testing.expectError(error.FileNotFound, mapFile("no/such/file", 10, .read_only));
}
