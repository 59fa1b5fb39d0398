//! One arena of the buddy allocator: 64 units of 1 MiB, free or not by one bit each. A buddy of
//! order k is free when the 2^k bits from its aligned start are set, so splitting and coalescing
//! need no lists: taking clears bits, freeing sets them. A block whose length is no power of two
//! leaves its tail to others.

const std = @import("std");

pub const unit_size = 1 << 20;
pub const unit_count = 64;
pub const size = unit_size * unit_count;
pub const order_count = 7;

const all: u64 = std.math.maxInt(u64);

/// Where a buddy of each order may start.
const starts: [order_count]u64 = .{
    all,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
    1,
};

pub const Arena = struct {
    /// 0 while the arena is not mapped. Read without a lock by metrics, as `free` is.
    base: std.atomic.Value(usize),
    free: std.atomic.Value(u64),
    /// Units that were handed out since the system last cleared them.
    dirty: u64,
    /// Pairs of units for which huge pages are asked, by the bit of the first.
    huge: u64,
    /// Units of the block that starts here; 0 where none does.
    lengths: [unit_count]u8,

    pub fn reset(arena: *Arena, base: usize) void {
        arena.base.store(base, .monotonic);
        arena.free.store(all, .monotonic);
        arena.dirty = 0;
        arena.huge = 0;
        arena.lengths = @splat(0);
    }

    pub fn address(arena: *const Arena, unit: usize) [*]u8 {
        return @ptrFromInt(arena.base.raw + unit * unit_size);
    }

    pub fn isEmpty(arena: *const Arena) bool {
        return arena.free.raw == all;
    }

    /// Units that are free but may hold memory.
    pub fn idle(arena: *const Arena) u64 {
        return arena.free.raw & arena.dirty;
    }

    /// Takes `count` units from `start`, which are free.
    pub fn take(arena: *Arena, start: u6, count: u7) void {
        const mask = run(start, count);
        std.debug.assert(arena.free.raw & mask == mask);
        arena.free.store(arena.free.raw & ~mask, .monotonic);
        arena.lengths[start] = count;
    }

    /// Frees the block that starts at `start` and tells its length; null where none does.
    pub fn give(arena: *Arena, start: u6) ?u7 {
        const count: u7 = @intCast(arena.lengths[start]);
        if (count == 0) return null;
        arena.lengths[start] = 0;
        arena.free.store(arena.free.raw | run(start, count), .monotonic);
        return count;
    }

    /// The start of the best maximal buddy of this order: one without old contents where
    /// `wants_clean`, else one whose memory is there already.
    pub fn choose(arena: *const Arena, order: u3, wants_clean: bool) u6 {
        const candidates = maximal(arena.free.raw)[order];
        const used = anyOf(arena.dirty, order);
        const better = candidates & if (wants_clean) ~used else used;
        return @intCast(@ctz(if (better != 0) better else candidates));
    }

    /// Which orders have a maximal free buddy, a bit each.
    pub fn orders(arena: *const Arena) u8 {
        var set: u8 = 0;
        for (maximal(arena.free.raw), 0..) |found, order| {
            if (found != 0) set |= @as(u8, 1) << @intCast(order);
        }
        return set;
    }
};

/// The largest order of a free buddy in this map of free units; null when none is free.
pub fn largestOrder(free: u64) ?u3 {
    const whole = aligned(free);
    var order: u3 = order_count - 1;
    while (whole[order] == 0) : (order -= 1) if (order == 0) return null;
    return order;
}

/// `count` bits from `start`.
pub fn run(start: u6, count: u7) u64 {
    return (all >> @intCast(unit_count - count)) << start;
}

/// The starts of all free buddies, by order.
fn aligned(free: u64) [order_count]u64 {
    var runs = free;
    var found: [order_count]u64 = undefined;
    inline for (&found, starts, 0..) |*of_order, mask, order| {
        of_order.* = runs & mask;
        if (order + 1 < order_count) runs &= runs >> (1 << order);
    }
    return found;
}

/// The starts of free buddies that are no half of a larger free one, by order.
fn maximal(free: u64) [order_count]u64 {
    var found = aligned(free);
    inline for (0..order_count - 1) |order| {
        const halves = found[order + 1] | found[order + 1] << (1 << order);
        found[order] &= ~halves;
    }
    return found;
}

/// Bits set where any of the 2^order units from there on is.
fn anyOf(units: u64, order: u3) u64 {
    var found = units;
    var shift: u6 = 1;
    for (0..order) |_| {
        found |= found >> shift;
        shift <<= 1;
    }
    return found;
}

test "arena: maximal buddies tile the free units exactly" {
    var prng: std.Random.DefaultPrng = .init(3);
    for (0..2_000) |round| {
        var free = prng.random().int(u64);
        for (0..round % 4) |_| free |= prng.random().int(u64);
        var covered: u64 = 0;
        for (maximal(free), 0..) |found, order| {
            var rest = found;
            while (rest != 0) : (rest &= rest - 1) {
                const mask = run(@intCast(@ctz(rest)), @as(u7, 1) << @intCast(order));
                try std.testing.expectEqual(0, covered & mask);
                covered |= mask;
            }
        }
        try std.testing.expectEqual(free, covered);
    }
}

test "arena: a tail stays free and comes back whole" {
    var arena: Arena = undefined;
    arena.reset(size);
    const start = arena.choose(6, false);
    arena.take(start, 5);
    try std.testing.expectEqual(@as(u8, 0b111011), arena.orders());
    try std.testing.expectEqual(null, arena.give(1));
    try std.testing.expectEqual(@as(?u7, 5), arena.give(start));
    try std.testing.expectEqual(@as(u8, 1 << 6), arena.orders());
}
