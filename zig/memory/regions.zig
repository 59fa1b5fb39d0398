//! Regions: the buffers that Programs bind. Small ones come from the size-classed allocator, large
//! ones are whole pages, mapped files are read-only. Counts what is held and the most that was.

const std = @import("std");
const files = @import("files.zig");
const handles = @import("handles.zig");
const pages = @import("pages.zig");

pub const Error = error{ OutOfMemory, InvalidHandle, TooLarge } || files.Error;

/// From here on a region has pages of its own.
const direct_size_min = 1 << 20;
/// No region is larger: far beyond any machine, and sums of offsets cannot overflow.
const size_max = 1 << 46;
const alignment: std.mem.Alignment = .@"64";

/// Bookkeeping and small regions; thread-safe, without a C library.
pub const gpa = std.heap.smp_allocator;

pub const Region = struct {
    memory: []align(64) u8,
    kind: enum { small, pages, file },

    pub fn destroy(region: *Region) void {
        switch (region.kind) {
            .small => gpa.free(region.memory),
            .pages => pages.free(@alignCast(region.memory)),
            .file => files.unmap(@alignCast(region.memory)),
        }
        const counter = if (region.kind == .file) &mapped else &used;
        _ = counter.fetchSub(region.memory.len, .monotonic);
        gpa.destroy(region);
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

/// The first `size` bytes of a file, read-only and in place.
pub fn mapFile(path: []const u8, size: u64) Error!u32 {
    if (size == 0 or size > size_max) return error.TooLarge;
    const file = try files.File.open(path);
    defer file.close();
    const memory = try file.map(@intCast(size));
    errdefer files.unmap(memory);
    const region = try gpa.create(Region);
    errdefer gpa.destroy(region);
    region.* = .{ .memory = memory, .kind = .file };
    const handle = try table.add(gpa, region);
    _ = mapped.fetchAdd(memory.len, .monotonic);
    return handle;
}

pub const Source = struct { path: []const u8, offset: u64, size: u64 };

/// Fills part of a region from a file, checked: a short file is an error.
pub fn readFile(handle: u32, offset: u64, source: Source) Error!void {
    const region = try table.hold(handle);
    defer table.drop(handle);
    if (region.kind == .file) return error.InvalidHandle;
    const size = region.memory.len;
    if (offset > size or source.size > size - offset) return error.TooLarge;
    const file = try files.File.open(source.path);
    defer file.close();
    try file.readAt(region.memory[@intCast(offset)..][0..@intCast(source.size)], source.offset);
}

/// Lets the pages of a mapped file leave memory until they are read again.
pub fn adviseCold(handle: u32) Error!void {
    const region = try table.hold(handle);
    defer table.drop(handle);
    if (region.kind == .file) pages.adviseCold(@alignCast(region.memory));
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
    try table.release(small);
    try table.release(large);
    try std.testing.expectEqual(before.used, metrics().used);
    try std.testing.expectError(error.TooLarge, create(1 << 60, .dense));
    try std.testing.expectError(error.FileNotFound, mapFile("no/such/file", 10));
}
