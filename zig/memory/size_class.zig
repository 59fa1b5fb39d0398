//! Size classes of small blocks: multiples of 16 up to 128 bytes, then eight steps to each doubling
//! up to 1 MiB, so a block is at most an eighth larger than what was asked for (15 bytes below
//! 128).
//!
//! A class whose step is below a power of two P, and a size that is a multiple of P: the class is
//! exactly that size. So rounding the size up to the alignment is all that alignment takes.

const std = @import("std");

const smallest_bits = 4;
const steps_bits = 3;
const first_doubling = 1 << (smallest_bits + steps_bits);

/// Sizes up to this one are small.
pub const size_max = 1 << 20;
pub const count = (20 - smallest_bits - steps_bits + 1) << steps_bits;

pub const Class = u7;

/// Tables by class have room for every value of `Class`, so that a look needs no check.
pub const table_size = 1 << @bitSizeOf(Class);

/// The class of a size from 1 to `size_max`.
pub inline fn of(size: usize) Class {
    const last = size -% 1;
    // Below the first doubling the steps are as wide as in it: one formula, no branch.
    const bits: u6 = @truncate(63 - @clz(@as(u64, last) | first_doubling));
    const shift: u6 = bits -% steps_bits;
    // The leading bit of `last >> shift` counts as the first eight classes.
    const doubling = @as(usize, shift -% smallest_bits) << steps_bits;
    return @truncate(doubling +% (last >> shift));
}

/// The class of a size up to `tabled_max`, looked up: shorter than the formula.
pub inline fn ofTabled(size: usize) Class {
    return tabled[@as(TabledIndex, @truncate((size -% 1) >> smallest_bits))];
}

pub const tabled_max = 1024;

const TabledIndex = u6;

const tabled: [1 << @bitSizeOf(TabledIndex)]Class = blk: {
    var table: [tabled_max >> smallest_bits]Class = undefined;
    for (&table, 1..) |*class, steps| class.* = of(steps << smallest_bits);
    break :blk table;
};

/// Bytes of a block.
pub inline fn sizeOf(class: Class) u32 {
    return sizes[class];
}

/// How a span is cut: 64 KiB slices and blocks in it.
pub const Cut = struct { slices: u8, blocks: u16 };

pub fn cutOf(class: Class) Cut {
    return cuts[class];
}

pub const slice_size = 64 << 10;
const slices_max = 16;

const sizes: [count]u32 = blk: {
    var table: [count]u32 = undefined;
    for (&table, 0..) |*size, class| {
        if (class < 8) {
            size.* = (class + 1) << smallest_bits;
        } else {
            const doubling = (class >> steps_bits) - 1;
            const step = (class & 7) + 1;
            size.* = (8 + step) << (smallest_bits + doubling);
        }
    }
    break :blk table;
};

/// The fewest slices that hold enough blocks and waste at most a sixteenth, else those that waste
/// least.
const cuts: [count]Cut = blk: {
    @setEvalBranchQuota(100_000);
    var table: [count]Cut = undefined;
    for (&table, sizes) |*cut, size| {
        var least: u32 = std.math.maxInt(u32);
        var slices: u32 = 1;
        while (slices <= slices_max) : (slices += 1) {
            const total = slices * slice_size;
            const blocks = total / size;
            if (blocks == 0) continue;
            // In parts of 1024, to compare spans of different length.
            const waste = (total - blocks * size) * 1024 / total;
            if (waste < least) {
                least = waste;
                cut.* = .{ .slices = slices, .blocks = blocks };
            }
            if (blocks >= blocksWanted(size) and waste <= 64) break;
        }
    }
    break :blk table;
};

/// Many blocks in a span make new spans rare; few make it likely that all of them get free.
fn blocksWanted(size: u32) u32 {
    if (size <= 8 << 10) return 8;
    if (size <= 32 << 10) return 4;
    return if (size <= 128 << 10) 2 else 1;
}

test "size classes: every size has the smallest class that holds it" {
    try std.testing.expectEqual(size_max, sizeOf(count - 1));
    var previous: Class = 0;
    for (1..size_max + 1) |size| {
        const class = of(size);
        if (size <= tabled_max) std.debug.assert(class == ofTabled(size));
        std.debug.assert(class == previous or class == previous + 1);
        std.debug.assert(sizeOf(class) >= size);
        if (class > 0) std.debug.assert(sizeOf(class - 1) < size);
        previous = class;
    }
    try std.testing.expectEqual(count - 1, previous);
}

test "size classes: a size that is a multiple of a power of two gets blocks that are one too" {
    var alignment: usize = 16;
    while (alignment <= 65536) : (alignment *= 2) {
        var size = alignment;
        while (size <= size_max) : (size += alignment) {
            std.debug.assert(sizeOf(of(size)) % alignment == 0);
        }
    }
}

test "size classes: a span wastes at most a sixteenth and has a block" {
    for (cuts, sizes) |cut, size| {
        const total = @as(u32, cut.slices) * slice_size;
        try std.testing.expect(cut.blocks >= 1 and cut.blocks * size <= total);
        try std.testing.expect((total - cut.blocks * size) * 16 <= total);
    }
}
