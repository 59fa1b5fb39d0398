//! Which arenas have a maximal free buddy of each order: a bit an arena, and over each 64 of them a
//! summary bit, so the lowest arena that fits is found in a few steps whatever their number.

const std = @import("std");
const order_count = @import("arena.zig").order_count;
const Meta = @import("meta.zig").Meta;

pub const ArenaIndex = struct {
    sets: []Set,

    pub const capacity = 64 * 64;
    pub const Found = struct { arena: u32, order: u3 };

    const Set = struct { summary: u64, words: [64]u64 };

    pub fn init(meta: *Meta) ?ArenaIndex {
        return .{ .sets = meta.slice(Set, order_count) orelse return null };
    }

    /// Tells for which orders (a bit each) this arena has a free buddy.
    pub fn set(index: *ArenaIndex, arena: u32, orders: u8) void {
        const word = arena / 64;
        const bit = @as(u64, 1) << @intCast(arena % 64);
        for (index.sets, 0..) |*of_order, order| {
            const had = of_order.words[word];
            const has = if (orders >> @intCast(order) & 1 != 0) had | bit else had & ~bit;
            if (has == had) continue;
            of_order.words[word] = has;
            const summary_bit = @as(u64, 1) << @intCast(word);
            if (has != 0) of_order.summary |= summary_bit else of_order.summary &= ~summary_bit;
        }
    }

    /// The smallest order from `order_min` up that any arena has, in the lowest such arena.
    pub fn find(index: *const ArenaIndex, order_min: u3) ?Found {
        for (index.sets[order_min..], order_min..) |*of_order, order| {
            if (of_order.summary == 0) continue;
            const word = @ctz(of_order.summary);
            const arena = word * 64 + @as(u32, @ctz(of_order.words[word]));
            return .{ .arena = arena, .order = @intCast(order) };
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
    try std.testing.expectEqual(null, index.find(0));
    index.set(70, 0b0001000);
    index.set(3, 0b1000000);
    index.set(99, 0b0001000);
    try std.testing.expectEqual(ArenaIndex.Found{ .arena = 70, .order = 3 }, index.find(1).?);
    try std.testing.expectEqual(ArenaIndex.Found{ .arena = 3, .order = 6 }, index.find(4).?);
    index.set(70, 0);
    try std.testing.expectEqual(ArenaIndex.Found{ .arena = 99, .order = 3 }, index.find(0).?);
}
