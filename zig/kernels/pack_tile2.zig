//! Weights in {-1, 0, 1} to the tile2 layout (docs at ternary_matmul.zig): two bits a weight in the
//! order in which the matrix product reads them.
//!
//! Input: codes i8 (N, K). Output: w tile2 (N, K), its padding written as weight 0. Values outside
//! -1..1 are taken as their sign. Workers take blocks of 32 rows.

const std = @import("std");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

pub const block_rows = 32;
pub const tile_columns = 16;
pub const tile_size = block_rows * tile_columns / 4;

pub fn run(task: *const Task) callconv(.c) void {
    const codes = task.in(0);
    const w = task.out(0);
    std.debug.assert(w.layout == .tile2);
    const share = task.share((codes.dims[0] + block_rows - 1) / block_rows);
    const tiles = (codes.dims[1] + tile_columns - 1) / tile_columns;
    for (share.start..share.end) |block| {
        for (0..tiles) |tile| {
            const target = w.data + (block * tiles + tile) * tile_size;
            packTile(codes, .{ block, tile }, target[0..tile_size]);
        }
    }
}

/// Packs the tile at (block, tile) of the matrix; rows and columns past its end are weight 0.
fn packTile(codes: *const View, at: [2]usize, target: *[tile_size]u8) void {
    const row_first = at[0] * block_rows;
    const column_first = at[1] * tile_columns;
    const columns: usize = @min(tile_columns, codes.dims[1] - column_first);
    for (0..block_rows) |r| {
        var row: [tile_columns]u8 = @splat(1);
        if (row_first + r < codes.dims[0]) {
            const source = codes.row(i8, row_first + r)[column_first..][0..columns];
            for (row[0..columns], source) |*code, weight| {
                code.* = @intCast(@as(i8, 1) + std.math.sign(weight));
            }
        }
        for (target[r * 4 ..][0..4], 0..) |*byte, j| {
            byte.* = row[j] | row[4 + j] << 2 | row[8 + j] << 4 | row[12 + j] << 6;
        }
    }
}
