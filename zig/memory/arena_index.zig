//! Which arenas have free runs of which order, the power of two that their longest run holds: a bit
//! an arena, and over each 64 of them a summary bit, so the lowest arena that fits is found in a
//! few steps whatever their number.

const std = @import("std");
const Meta = @import("meta.zig").Meta;

/// Runs have 1 to 1,023 units.
const order_count = 10;
const unlisted = std.math.maxInt(u8);

pub const ArenaIndex = struct {
    sets: []Set,
    orders: []u8,

    pub const capacity = 64 * 64;

    const Set = struct { summary: u64, words: [64]u64 };

    pub fn init(meta: *Meta) ?ArenaIndex {
        const orders = meta.slice(u8, capacity) orelse return null;
        @memset(orders, unlisted);
        return .{ .sets = meta.slice(Set, order_count) orelse return null, .orders = orders };
    }

    /// Tells the longest free run of an arena; 0 when it is full or gone.
    pub fn set(index: *ArenaIndex, arena: u32, longest: u16) void {
        const order: u8 = if (longest == 0) unlisted else std.math.log2_int(u16, longest);
        const old = index.orders[arena];
        if (order == old) return;
        index.orders[arena] = order;
        const word = arena / 64;
        const bit = @as(u64, 1) << @intCast(arena % 64);
        const summary_bit = @as(u64, 1) << @intCast(word);
        if (old != unlisted) {
            const from = &index.sets[old];
            from.words[word] &= ~bit;
            if (from.words[word] == 0) from.summary &= ~summary_bit;
        }
        if (order != unlisted) {
            index.sets[order].words[word] |= bit;
            index.sets[order].summary |= summary_bit;
        }
    }

    /// The lowest arena of exactly this order.
    pub fn first(index: *const ArenaIndex, order: u8) ?u32 {
        const of_order = &index.sets[order];
        if (of_order.summary == 0) return null;
        const word = @ctz(of_order.summary);
        return word * 64 + @as(u32, @ctz(of_order.words[word]));
    }

    /// The lowest arena of the smallest order in which any run has `count` units.
    pub fn findSure(index: *const ArenaIndex, count: u16) ?u32 {
        for (std.math.log2_int_ceil(u16, count)..order_count) |order| {
            if (index.first(@intCast(order))) |arena| return arena;
        }
        return null;
    }
};

test "arena index: the smallest sufficient order wins, then the lowest arena" {
    const Faulty = @import("source.zig").Faulty;
    var faulty: Faulty = .{};
    var meta: Meta = .{ .source = faulty.source() };
    defer meta.deinit();
    var index = ArenaIndex.init(&meta).?;
    try std.testing.expectEqual(null, index.findSure(1));
    index.set(70, 15);
    index.set(3, 600);
    index.set(99, 8);
    try std.testing.expectEqual(70, index.findSure(8).?);
    try std.testing.expectEqual(3, index.findSure(9).?);
    try std.testing.expectEqual(70, index.first(3).?);
    index.set(70, 0);
    try std.testing.expectEqual(99, index.findSure(2).?);
    try std.testing.expectEqual(null, index.findSure(513));
}
