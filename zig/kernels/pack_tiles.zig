//! Weights in {-1, 0, 1} to the packings that the matrix product reads, in the order in which it
//! reads them: `tile2` with two bits a weight, `tile3` with five weights a byte.
//!
//! Input: codes i8 (N, K). Output: w tile2 or tile3 (N, K), its padding written as weight 0. Values
//! outside -1..1 are taken as their sign. Workers take blocks of 32 rows.
//! Formats: docs/formats/tile2.md and tile3.md.

const std = @import("std");
const tile3_codes = @import("tile3.zig");
const tiles = @import("ternary_tiles.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const block_rows = tiles.block_rows;
const tile_size = tiles.tile_size;

pub fn tile2(task: *const Task) callconv(.c) void {
    pack(.tile2, task);
}

pub fn tile3(task: *const Task) callconv(.c) void {
    pack(.tile3, task);
}

fn pack(comptime packing: tiles.Packing, task: *const Task) void {
    const codes = task.in(0);
    const w = task.out(0);
    std.debug.assert(packing == tiles.Packing.of(w.layout));
    const share = task.share((codes.dims[0] + block_rows - 1) / block_rows);
    const across = packing.tilesAcross(codes.dims[1]);
    for (share.start..share.end) |block| {
        for (0..across) |tile| {
            const target = (w.data + (block * across + tile) * tile_size)[0..tile_size];
            const is_whole = (block + 1) * block_rows <= codes.dims[0] and
                (tile + 1) * packing.columns() <= codes.dims[1];
            if (is_whole) {
                packWhole(packing, codes, .{ block, tile }, target);
            } else {
                packTile(packing, codes, .{ block, tile }, target);
            }
        }
    }
}

/// Rows of a tile that are encoded together: a vector of bytes.
const rows_together = 16;
const Bytes = @Vector(4 * rows_together, u8);

/// Packs a tile that lies inside of the matrix, without a branch: the codes of columns 4 g to
/// 4 g + 3 are a word of each row, and the bytes of the words are packed side by side.
fn packWhole(
    comptime packing: tiles.Packing,
    codes: *const View,
    at: [2]usize,
    target: *[tile_size]u8,
) void {
    const words = comptime packing.columns() / 4;
    const column_first = at[1] * packing.columns();
    for (0..block_rows / rows_together) |part| {
        var planes: [words][rows_together][4]u8 = undefined;
        for (0..rows_together) |r| {
            const row = codes.row(i8, at[0] * block_rows + part * rows_together + r);
            inline for (0..words) |g| planes[g][r] = @bitCast(row[column_first + 4 * g ..][0..4].*);
        }
        var digits: [words]Bytes = undefined;
        inline for (0..words) |g| digits[g] = digitsOf(@bitCast(planes[g]));
        const encoded: [4 * rows_together]u8 = switch (packing) {
            .tile2 => digits[0] | digits[1] << @splat(2) | digits[2] << @splat(4) |
                digits[3] << @splat(6),
            .tile3 => tile3_codes.encodeBytes(4 * rows_together, digits),
        };
        target[part * encoded.len ..][0..encoded.len].* = encoded;
    }
}

/// Weights -1, 0, 1 as 0, 1, 2; others by their sign.
fn digitsOf(weights: @Vector(4 * rows_together, i8)) Bytes {
    const one: @Vector(4 * rows_together, i8) = @splat(1);
    return @bitCast(@min(@max(weights, -one), one) + one);
}

/// Packs the tile at (block, tile) of the matrix; rows and columns past its end are weight 0.
fn packTile(
    comptime packing: tiles.Packing,
    codes: *const View,
    at: [2]usize,
    target: *[tile_size]u8,
) void {
    const row_first = at[0] * block_rows;
    const column_first = at[1] * packing.columns();
    const columns: usize = @min(packing.columns(), codes.dims[1] - column_first);
    for (0..block_rows) |r| {
        var row: [packing.columns()]u8 = @splat(1);
        if (row_first + r < codes.dims[0]) {
            const source = codes.row(i8, row_first + r)[column_first..][0..columns];
            for (row[0..columns], source) |*code, weight| {
                code.* = @intCast(@as(i8, 1) + std.math.sign(weight));
            }
        }
        for (target[r * 4 ..][0..4], 0..) |*byte, j| {
            byte.* = encode(packing, row[j..]);
        }
    }
}

/// The byte of every fourth code.
fn encode(comptime packing: tiles.Packing, row: []const u8) u8 {
    return switch (packing) {
        .tile2 => row[0] | row[4] << 2 | row[8] << 4 | row[12] << 6,
        .tile3 => tile3_codes.encode(.{ row[0], row[4], row[8], row[12], row[16] }),
    };
}
