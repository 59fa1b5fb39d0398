//! The two packings that the ternary product reads, as one interface: tiles of 128 bytes that hold
//! 32 weight rows of 16 columns (tile2) or of 20 (tile3). A vector of a tile's words, one word a
//! row, is opened once and then gives codes (weight + 1) by groups of four columns.

const std = @import("std");
const tile3 = @import("tile3.zig");
const Layout = @import("task.zig").Layout;

/// Weight rows of a tile, and its bytes.
pub const block_rows = 32;
pub const tile_size = 128;

/// The largest code, for weight 1.
pub const code_max = 2;

pub const Packing = enum {
    tile2,
    tile3,

    pub fn of(layout: Layout) Packing {
        return switch (layout) {
            .tile2 => .tile2,
            .tile3 => .tile3,
            else => unreachable,
        };
    }

    /// Columns of a tile.
    pub fn columns(packing: Packing) usize {
        return switch (packing) {
            .tile2 => 16,
            .tile3 => 20,
        };
    }

    pub fn tilesAcross(packing: Packing, column_count: usize) usize {
        return (column_count + packing.columns() - 1) / packing.columns();
    }
};

/// The codes of a packing at a level of dot.zig.
pub fn Codes(comptime D: type, comptime packing: Packing) type {
    return struct {
        /// Groups of four columns.
        pub const groups = packing.columns() / 4;
        /// Registers that decoding keeps.
        pub const registers = if (packing == .tile3) Decoder.registers else 0;

        const Decoder = tile3.Decoder(D);
        pub const Opened = if (packing == .tile3) tile3.Opened(D) else D.Word;

        pub inline fn open(word: D.Word) Opened {
            return if (packing == .tile3) Decoder.open(word) else word;
        }

        /// Of `scales` that sums are kept apart by, the one that suits a group's codes best.
        pub fn scaleOf(comptime group_index: usize, comptime scales: usize) usize {
            if (group_index == 4) return @min(scales - 1, Decoder.fifth_bit / 2);
            return group_index % scales;
        }

        /// The codes of a group, each a byte, times 4^scale.
        pub inline fn group(
            opened: Opened,
            comptime index: usize,
            comptime scale: usize,
        ) D.Word {
            if (index == 4) return opened.fifth >> @splat(Decoder.fifth_bit - 2 * scale);
            const word = if (packing == .tile3) opened.four else opened;
            const mask: D.Word = @splat(0x03030303 << (2 * scale));
            return (word >> @splat(2 * (index - scale))) & mask;
        }
    };
}
