//! Rows of ternary weights to the tiles of `tile2` and `tile3`, straight from what gives the rows:
//! a block of 32 rows is packed in strips of columns that stay in the nearest cache, so that a
//! matrix is read once and written once, packed.
//!
//! The codes of columns 4 g to 4 g + 3 of a row are a word. Sixteen rows of sixteen words are
//! turned, which gives each word of sixteen rows side by side, as tiles hold them; then the bytes
//! of a tile's words are encoded together. Rows and columns past the matrix are weight 0.

const std = @import("std");
const tile3 = @import("tile3.zig");
const tiles = @import("ternary_tiles.zig");
const View = @import("task.zig").View;

pub const block_rows = tiles.block_rows;

/// Columns read at a time: a multiple of 256, which blocks of checkpoints have at most, and of
/// what is turned at a time.
pub const strip_columns = 1280;

/// Rows that are encoded together, a vector of words.
const part_rows = 16;
/// Columns whose words are turned before they are encoded: whole tiles of either packing.
const turn_columns = 320;
const turn_words = turn_columns / 4;

const Words = @Vector(part_rows, u32);
const Bytes = @Vector(4 * part_rows, u8);

/// A code for weight 0.
const none = 1;

/// Working memory of a worker.
pub const Scratch = struct {
    codes: [part_rows][strip_columns]u8 align(64),
    words: [turn_words]Words,
};

/// Packs one block of 32 rows of `w`, a tile2 or tile3 matrix. `source.read(row, column, codes)`
/// fills in the codes (weight + 1) of a row from a multiple of `strip_columns` on; codes above 2
/// count as 2.
pub fn packBlock(w: *const View, block: usize, source: anytype, scratch: *Scratch) void {
    switch (tiles.Packing.of(w.layout)) {
        inline else => |packing| packBlockAs(packing, w, block, source, scratch),
    }
}

fn packBlockAs(
    comptime packing: tiles.Packing,
    w: *const View,
    block: usize,
    source: anytype,
    scratch: *Scratch,
) void {
    const columns: usize = w.dims[1];
    const across = packing.tilesAcross(columns);
    const strip_tiles = strip_columns / packing.columns();
    var tile: usize = 0;
    while (tile < across) : (tile += strip_tiles) {
        const column = tile * packing.columns();
        const count = @min(strip_columns, columns - column);
        const tile_count = @min(strip_tiles, across - tile);
        for (0..block_rows / part_rows) |part| {
            const row_first = block * block_rows + part * part_rows;
            for (&scratch.codes, row_first..) |*codes, row| {
                const filled = if (row < w.dims[0]) count else 0;
                if (filled > 0) source.read(row, column, codes[0..filled]);
                @memset(codes[filled..], none);
            }
            const target = w.data + (block * across + tile) * tiles.tile_size;
            encodeStrip(packing, scratch, tile_count, target + part * @sizeOf(Words));
        }
    }
}

/// Encodes the codes of sixteen rows; each tile takes half of its bytes.
fn encodeStrip(
    comptime packing: tiles.Packing,
    scratch: *Scratch,
    tile_count: usize,
    target: [*]u8,
) void {
    const words_a_tile = comptime packing.columns() / 4;
    const tiles_a_turn = turn_words / words_a_tile;
    var tile: usize = 0;
    while (tile < tile_count) : (tile += tiles_a_turn) {
        const column = tile * packing.columns();
        inline for (0..turn_words / part_rows) |index| {
            const words = scratch.words[index * part_rows ..][0..part_rows];
            turn(scratch, column + index * 4 * part_rows, words);
        }
        for (tile..@min(tile + tiles_a_turn, tile_count), 0..) |at, index| {
            const words = scratch.words[index * words_a_tile ..][0..words_a_tile];
            const encoded: [4 * part_rows]u8 = @bitCast(encode(packing, words));
            (target + at * tiles.tile_size)[0..encoded.len].* = encoded;
        }
    }
}

/// Sixteen words of each row from a column on, turned: words[i] has word i of every row.
inline fn turn(scratch: *const Scratch, column: usize, words: *[part_rows]Words) void {
    var rows: [part_rows]Words = undefined;
    inline for (&rows, &scratch.codes) |*row, *codes| {
        row.* = @bitCast(codes[column..][0 .. 4 * part_rows].*);
    }
    // Blocks of 1, 2, 4 and 8 words change places across the diagonal.
    inline for (swaps) |swap| {
        inline for (0..part_rows) |i| {
            if (i & swap.size == 0) {
                const upper = rows[i];
                const lower = rows[i + swap.size];
                rows[i] = @shuffle(u32, upper, lower, swap.upper);
                rows[i + swap.size] = @shuffle(u32, upper, lower, swap.lower);
            }
        }
    }
    words.* = rows;
}

/// Of two rows `size` apart: what each has once the blocks of that size are swapped.
const Swap = struct { size: usize, upper: @Vector(part_rows, i32), lower: @Vector(part_rows, i32) };

const swaps: [4]Swap = blk: {
    var all: [4]Swap = undefined;
    for (&all, 0..) |*swap, power| {
        swap.size = 1 << power;
        for (0..part_rows) |i| {
            const is_right = i & swap.size != 0;
            swap.upper[i] = if (is_right) ~@as(i32, i - swap.size) else i;
            swap.lower[i] = if (is_right) ~@as(i32, i) else i + swap.size;
        }
    }
    break :blk all;
};

/// The bytes of a tile's words. Codes shift as words do: they are small.
inline fn encode(comptime packing: tiles.Packing, words: []const Words) Words {
    const highest: Bytes = @splat(tiles.code_max);
    var codes: [packing.columns() / 4]Words = undefined;
    inline for (&codes, 0..) |*group, index| {
        const bounded: Bytes = @min(@as(Bytes, @bitCast(words[index])), highest);
        group.* = @bitCast(bounded);
    }
    return switch (packing) {
        .tile2 => codes[0] | codes[1] << @splat(2) | codes[2] << @splat(4) | codes[3] << @splat(6),
        .tile3 => tile3.encodeWords(part_rows, codes),
    };
}
