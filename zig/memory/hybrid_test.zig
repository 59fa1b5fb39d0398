//! The pool as its users see it.

const std = @import("std");
const hybrid = @import("hybrid.zig");
const metrics = @import("pool_metrics.zig");

const HybridMemoryPool = hybrid.HybridMemoryPool;

test "pool: blocks of every kind are aligned, zeroed on request, counted and freed" {
    const pool: *HybridMemoryPool = try .create(.{});
    const weights = try pool.tag("weights");
    const mib = 1 << 20;
    const sizes = [_]usize{ 1, 17, 4000, 70_000, mib - 1, mib, 5 * mib, 64 * mib, 65 * mib };
    var total: u64 = 0;
    var blocks: [sizes.len][]u8 = undefined;
    for (sizes, &blocks) |size, *block| {
        var alignment: usize = 1;
        while (alignment <= 65536) : (alignment *= 4) {
            const memory = try pool.allocate(.{
                .size = size,
                .alignment = alignment,
                .tag = weights,
                .zeroed = true,
            });
            try std.testing.expectEqual(0, @intFromPtr(memory.ptr) % alignment);
            try std.testing.expectEqual(0, memory[0]);
            try std.testing.expectEqual(0, memory[size - 1]);
            memory[0] = 1;
            memory[size - 1] = 1;
            if (alignment < 65536) try pool.free(memory, weights) else block.* = memory;
        }
        total += size;
    }
    const now = metrics.read(pool);
    try std.testing.expectEqual(total, now.used);
    try std.testing.expectEqual(sizes.len, now.live_count);
    try std.testing.expect(now.peak_used >= total and now.held >= now.blocks - (1 << 20));
    try std.testing.expect(now.blocks >= now.used and now.reserved >= now.held);
    for (blocks) |block| try pool.free(block, weights);
    try std.testing.expectEqual(0, metrics.read(pool).used);
    pool.trim();
    try std.testing.expectEqual(0, metrics.read(pool).held);
    try std.testing.expectEqual(0, metrics.read(pool).blocks);
    try std.testing.expect(pool.close());
}
