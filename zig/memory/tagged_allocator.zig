//! The pool as an allocator of Zig's standard library, every block of it under one tag.

const std = @import("std");
const hybrid = @import("hybrid.zig");

pub const TaggedAllocator = struct {
    pool: *hybrid.HybridMemoryPool,
    tag: hybrid.Tag,
    /// Hears why a block was refused: the interface itself knows only that it was.
    refused: ?*const fn (size: usize, err: hybrid.Error) void = null,

    /// The tagged allocator must not move while it is in use.
    pub fn allocator(tagged: *TaggedAllocator) std.mem.Allocator {
        return .{ .ptr = tagged, .vtable = &.{
            .alloc = alloc,
            .resize = std.mem.Allocator.noResize,
            .remap = std.mem.Allocator.noRemap,
            .free = free,
        } };
    }

    pub fn alloc(raw: *anyopaque, size: usize, alignment: std.mem.Alignment, _: usize) ?[*]u8 {
        const tagged: *TaggedAllocator = @ptrCast(@alignCast(raw));
        const memory = tagged.pool.allocate(.{
            .size = size,
            .alignment = alignment.toByteUnits(),
            .tag = tagged.tag,
        }) catch |err| {
            if (tagged.refused) |tell| tell(size, err);
            return null;
        };
        return memory.ptr;
    }

    pub fn free(raw: *anyopaque, memory: []u8, _: std.mem.Alignment, _: usize) void {
        const tagged: *TaggedAllocator = @ptrCast(@alignCast(raw));
        tagged.pool.free(memory, tagged.tag) catch |err| switch (err) {
            // Debug mode has noted it for the report; the block is freed.
            error.GuardDamaged => {},
            // Zig's own rules forbid it.
            error.ForeignPointer, error.DoubleFree, error.WrongSize => unreachable,
        };
    }
};

test "tagged allocator: behaves as Zig asks and counts under its tag" {
    const metrics = @import("pool_metrics.zig");
    const pool: *hybrid.HybridMemoryPool = try .create(.{});
    var tagged: TaggedAllocator = .{ .pool = pool, .tag = try pool.tag("lists") };
    const gpa = tagged.allocator();
    try std.heap.testAllocator(gpa);
    try std.heap.testAllocatorAligned(gpa);

    var list: std.ArrayList(u64) = .empty;
    for (0..100_000) |value| try list.append(gpa, value);
    var totals: [hybrid.tag_count]metrics.TagMetrics = undefined;
    metrics.readTags(pool, &totals);
    try std.testing.expectEqual(1, totals[@intFromEnum(tagged.tag)].live_count);
    try std.testing.expectEqual(list.capacity * 8, totals[@intFromEnum(tagged.tag)].used);
    list.deinit(gpa);
    try std.testing.expect(pool.close());
}
