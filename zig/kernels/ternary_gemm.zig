//! Ternary matrix times many int8 vectors: sum_k (w[n,k] + 1) * x[k] - sum_k x[k], by tiles of some
//! weight rows times some tokens, whose products are in ternary_product.zig.
//!
//! Per worker and piece of the tokens, activations are packed once as words of four columns (tile,
//! step, token, word of the step). Then each block of 32 weight rows is unpacked once, by panels of
//! some columns, to words of codes (step, row, word of the step) that all tiles share. A step
//! is one word deep, or two where the level multiplies matrices. Sums lie in scratch and start at
//! -sum x.

const std = @import("std");
const gemv = @import("ternary_gemv.zig");
const product = @import("ternary_product.zig");
const tiles = @import("ternary_tiles.zig");
const Output = @import("ternary_output.zig").Output;
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const block_rows = tiles.block_rows;
const tile_size = tiles.tile_size;

/// Blocks of weights times all tokens.
pub const Work = struct {
    weights: [*]const u8, // the whole matrix, packed
    packing: tiles.Packing,
    /// Whose units the blocks are.
    task: *const Task,
    block_count: usize,
    x: *const View, // i8 (tokens, columns)
    output: Output,
};

const Rows = product.Rows;

/// One piece of the tokens, packed; in scratch.
const Pack = struct {
    panel: [*]align(64) u32, // (steps of a panel, 32, depth)
    sums: [*]align(64) Rows, // (tokens)
    x_sums: [*]i32, // (tokens)
    words: [*]u32, // per tile (steps, tokens of the tile, depth)
    row_words: usize, // steps * depth
    panel_tiles: usize,
    first: usize,
    tokens: usize,
    tiles: usize,

    /// Its tokens begin at `start` in the piece, at `x_start` in the activations.
    const Tile = struct {
        start: usize,
        x_start: usize,
        count: usize,
        row_words: usize,
        words: [*]u32, // (steps, count, depth)
    };

    /// Tiles differ by one token at most.
    fn tile(pack: *const Pack, index: usize) Tile {
        const start = pack.tokens * index / pack.tiles;
        return .{
            .start = start,
            .x_start = pack.first + start,
            .count = pack.tokens * (index + 1) / pack.tiles - start,
            .row_words = pack.row_words,
            .words = pack.words + start * pack.row_words,
        };
    }
};

/// Multiplies all of `work`; `D` is a level of dot.zig.
pub fn run(comptime D: type, work: *const Work, scratch: []align(64) u8) void {
    const tokens: usize = work.x.dims[0];
    const tile_count = work.packing.tilesAcross(work.x.dims[1]);
    const at_once = tilesAtOnce(D, work.packing);
    const columns = (tile_count + at_once - 1) / at_once * at_once * work.packing.columns();
    const block_sizes = work.task.block_sizes;
    const panel_tiles = block_sizes.ternary_columns / work.packing.columns() / at_once * at_once;
    const panel_width: usize = @min(columns, panel_tiles * work.packing.columns());
    const panel_size = block_rows * panel_width;
    const token_size = columns + @sizeOf(Rows) + @sizeOf(i32);
    const kept_size = @min(scratch.len - panel_size, block_sizes.ternary_size);
    std.debug.assert(scratch.len - panel_size >= token_size);
    const room = @max(1, kept_size / token_size);
    const pieces = (tokens + room - 1) / room;
    for (0..pieces) |piece| {
        const first = tokens * piece / pieces;
        const count = tokens * (piece + 1) / pieces - first;
        const x_sums_at = panel_size + count * @sizeOf(Rows);
        const pack: Pack = .{
            .panel = @ptrCast(scratch.ptr),
            .sums = @ptrCast(@alignCast(scratch.ptr + panel_size)),
            .x_sums = @ptrCast(@alignCast(scratch.ptr + x_sums_at)),
            .words = @ptrCast(@alignCast(scratch.ptr + x_sums_at + count * @sizeOf(i32))),
            .row_words = columns / 4,
            .panel_tiles = panel_tiles,
            .first = first,
            .tokens = count,
            .tiles = (count + D.tile.tokens - 1) / D.tile.tokens,
        };
        packTokens(comptime product.depth(D), work.x, &pack);
        if (pieces > 1) {
            // Every piece goes over the same blocks again.
            const share = work.task.share(work.block_count);
            for (share.start..share.end) |block| multiplyBlock(D, work, &pack, block);
            continue;
        }
        var units = work.task.units(work.block_count, 1);
        while (units.next()) |range| {
            for (range.start..range.end) |block| multiplyBlock(D, work, &pack, block);
        }
    }
}

/// Tiles of the weights that whole steps take.
fn tilesAtOnce(comptime D: type, packing: tiles.Packing) usize {
    return if (packing.columns() / 4 % product.depth(D) == 0) 1 else product.depth(D);
}

fn multiplyBlock(comptime D: type, work: *const Work, pack: *const Pack, block: usize) void {
    for (pack.sums[0..pack.tokens], pack.x_sums) |*rows, x_sum| rows.* = @splat(-x_sum);
    const tile_words = work.packing.columns() / 4;
    const tile_count = work.packing.tilesAcross(work.x.dims[1]);
    const panel_tiles = pack.panel_tiles;
    const weights = work.weights + block * tile_count * tile_size;
    var first: usize = 0;
    while (first < tile_count) : (first += panel_tiles) {
        const panel: Panel = .{
            .tile_count = @min(panel_tiles, tile_count - first),
            .words = pack.panel,
        };
        switch (work.packing) {
            inline else => |packing| unpackPanel(D, packing, weights + first * tile_size, panel),
        }
        const start = first * tile_words;
        const row_words = @min(panel_tiles * tile_words, pack.row_words - start);
        for (0..pack.tiles) |index| {
            const tile = pack.tile(index);
            const operands: product.Operands = .{
                .panel = pack.panel,
                .words = tile.words + start * tile.count,
                .steps = row_words / product.depth(D),
                .next = weights + (first + panel.tile_count) * tile_size,
            };
            switch (tile.count) {
                inline 1...D.tile.tokens => |count| {
                    product.Product(D, count).addTo(pack.sums + tile.start, &operands);
                },
                else => unreachable,
            }
        }
    }
    for (pack.sums[0..pack.tokens], 0..) |*rows, token| {
        work.output.store(block, pack.first + token, @alignCast(rows));
    }
}

const Panel = struct { tile_count: usize, words: [*]align(64) u32 };

/// Packed codes to one byte each, in words of four columns. Where several tiles make whole steps,
/// the last one stands for those that are missing: their activations are 0.
fn unpackPanel(
    comptime D: type,
    comptime packing: tiles.Packing,
    weights: [*]const u8,
    panel: Panel,
) void {
    const Codes = tiles.Codes(D, packing);
    const depth = comptime product.depth(D);
    const at_once = comptime tilesAtOnce(D, packing);
    var first: usize = 0;
    while (first < panel.tile_count) : (first += at_once) {
        inline for (0..block_rows / D.lanes) |vector| {
            const row = vector * D.lanes;
            var codes: [at_once * Codes.groups]D.Word = undefined;
            inline for (0..at_once) |i| {
                const tile = if (i == 0) first else @min(first + i, panel.tile_count - 1);
                const source: *align(4 * D.lanes) const D.Word =
                    @ptrCast(@alignCast(weights + tile * tile_size + 4 * row));
                const opened = Codes.open(source.*);
                inline for (codes[i * Codes.groups ..][0..Codes.groups], 0..) |*code, group| {
                    code.* = Codes.group(opened, group, 0);
                }
            }
            inline for (0..codes.len / depth) |step| {
                const at = ((first * Codes.groups / depth + step) * block_rows + row) * depth;
                panel.words[at..][0 .. depth * D.lanes].* = if (depth == 1)
                    codes[step]
                else
                    std.simd.interlace(codes[step * depth ..][0..depth].*);
            }
        }
    }
}

/// Packs the activations of a piece and sums them.
fn packTokens(comptime depth: usize, x: *const View, pack: *const Pack) void {
    for (0..pack.tiles) |index| {
        const tile = pack.tile(index);
        for (pack.x_sums[tile.start..][0..tile.count], tile.x_start..) |*x_sum, token| {
            x_sum.* = gemv.sum(x.row(i8, token));
        }
        var t: usize = 0;
        while (t + 4 <= tile.count) : (t += 4) packRows(depth, 4, x, &tile, t);
        while (t < tile.count) : (t += 1) packRows(depth, 1, x, &tile, t);
    }
}

/// Packs `count` tokens from the `first`th of the tile on; columns past the last are 0.
fn packRows(
    comptime depth: usize,
    comptime count: usize,
    x: *const View,
    tile: *const Pack.Tile,
    first: usize,
) void {
    const turn = 4; // words of a token that are read at a time
    const columns = x.dims[1];
    var word: usize = 0;
    while (word < tile.row_words) : (word += turn) {
        var words: [count][turn]u32 = undefined;
        for (&words, tile.x_start + first..) |*row_words, token| {
            const row = x.row(i8, token)[@min(4 * word, columns)..];
            if (row.len >= 4 * turn) {
                row_words.* = @bitCast(row[0 .. 4 * turn].*);
            } else {
                var padded: [4 * turn]i8 = @splat(0);
                @memcpy(padded[0..row.len], row);
                row_words.* = @bitCast(padded);
            }
        }
        for (0..@min(turn, tile.row_words - word) / depth) |step| {
            var across: [count][depth]u32 = undefined;
            for (&across, words) |*token_words, row_words| {
                token_words.* = row_words[step * depth ..][0..depth].*;
            }
            const at = (word / depth + step) * tile.count + first;
            tile.words[at * depth ..][0 .. count * depth].* = @bitCast(across);
        }
    }
}
