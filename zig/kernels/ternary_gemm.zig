//! Ternary matrix times many int8 vectors: sum_k (w[n,k] + 1) * x[k] - sum_k x[k], by tiles that
//! stay in registers (some vectors of weight rows times some tokens).
//!
//! Per worker and piece of the tokens, activations are packed once as words (tile, column / 4,
//! token). Then each block of 32 weight rows is unpacked once, by panels of up to 4096 columns, to
//! words of codes (column / 4, row) that all tiles share. Sums lie in scratch and start at -sum x.

const std = @import("std");
const gemv = @import("ternary_gemv.zig");
const tiles = @import("ternary_tiles.zig");
const Output = @import("ternary_output.zig").Output;
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const block_rows = tiles.block_rows;
const tile_size = tiles.tile_size;

/// Columns of a panel at most: its 128 KiB share the second-level cache with the activations.
const panel_columns_max = 4096;

/// Packed bytes of four columns of a block, at most.
const group_size = 32;

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

/// The sums of one token for the rows of a block.
const Rows = [block_rows]i32;

/// One piece of the tokens, packed; in scratch.
const Pack = struct {
    panel: [*]align(64) u32, // (column / 4, 32)
    sums: [*]align(64) Rows, // (tokens)
    x_sums: [*]i32, // (tokens)
    words: [*]u32, // per tile (column / 4, tokens of the tile)
    groups: usize, // column / 4, of whole tiles
    first: usize,
    tokens: usize,
    tiles: usize,

    /// Its tokens begin at `start` in the piece, at `x_start` in the activations.
    const Tile = struct {
        start: usize,
        x_start: usize,
        count: usize,
        groups: usize,
        words: [*]u32, // (groups, count)
    };

    /// Tiles differ by one token at most.
    fn tile(pack: *const Pack, index: usize) Tile {
        const start = pack.tokens * index / pack.tiles;
        return .{
            .start = start,
            .x_start = pack.first + start,
            .count = pack.tokens * (index + 1) / pack.tiles - start,
            .groups = pack.groups,
            .words = pack.words + start * pack.groups,
        };
    }
};

/// Multiplies all of `work`; `D` is a level of dot.zig.
pub fn run(comptime D: type, work: *const Work, scratch: []align(64) u8) void {
    const tokens: usize = work.x.dims[0];
    const columns = work.packing.tilesAcross(work.x.dims[1]) * work.packing.columns();
    const panel_width: usize = @min(columns, panel_columns_max);
    const panel_size = block_rows * panel_width;
    const token_size = columns + @sizeOf(Rows) + @sizeOf(i32);
    const room = (scratch.len - panel_size) / token_size;
    std.debug.assert(room > 0);
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
            .groups = columns / 4,
            .first = first,
            .tokens = count,
            .tiles = (count + D.tile.tokens - 1) / D.tile.tokens,
        };
        packTokens(work.x, &pack);
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

fn multiplyBlock(comptime D: type, work: *const Work, pack: *const Pack, block: usize) void {
    for (pack.sums[0..pack.tokens], pack.x_sums) |*rows, x_sum| rows.* = @splat(-x_sum);
    const tile_groups = work.packing.columns() / 4;
    const tile_count = pack.groups / tile_groups;
    const panel_tiles = panel_columns_max / work.packing.columns();
    var weights = work.weights + block * tile_count * tile_size;
    var group: usize = 0;
    while (group < pack.groups) {
        const end = @min(pack.groups, group + panel_tiles * tile_groups);
        const packed_count = (end - group) / tile_groups;
        switch (work.packing) {
            inline else => |packing| unpackPanel(D, packing, weights, .{
                .tile_count = packed_count,
                .words = pack.panel,
            }),
        }
        weights += packed_count * tile_size;
        for (0..pack.tiles) |index| {
            const tile = pack.tile(index);
            const operands: Operands = .{
                .panel = pack.panel,
                .words = tile.words + group * tile.count,
                .groups = end - group,
                .next = weights,
            };
            switch (tile.count) {
                inline 1...D.tile.tokens => |count| {
                    Product(D, count).addTo(pack.sums + tile.start, &operands);
                },
                else => unreachable,
            }
        }
        group = end;
    }
    for (pack.sums[0..pack.tokens], 0..) |*rows, token| {
        work.output.store(block, pack.first + token, @alignCast(rows));
    }
}

const Operands = struct {
    panel: [*]const u32, // (groups, 32)
    words: [*]const u32, // (groups, tokens of the tile)
    groups: usize,
    /// Packed weights of the panel after this one, fetched ahead meanwhile.
    next: [*]const u8,
};

/// A panel times one tile of tokens.
fn Product(comptime D: type, comptime tokens: usize) type {
    return struct {
        const Lanes = @Vector(D.lanes, i32);

        /// The rows of a register tile, from `row` on, and a range of groups.
        const Span = struct { row: usize, start: usize, end: usize };

        fn addTo(sums: [*]Rows, operands: *const Operands) void {
            const step = comptime D.stepsMax(tiles.code_max);
            var row: usize = 0;
            while (row < block_rows) : (row += D.tile.vectors * D.lanes) {
                var group: usize = 0;
                while (group < operands.groups) {
                    const end = @min(operands.groups, group + step);
                    addRows(sums, operands, .{ .row = row, .start = group, .end = end });
                    group = end;
                }
            }
        }

        /// One register tile: its rows over a range of groups.
        inline fn addRows(sums: [*]Rows, operands: *const Operands, span: Span) void {
            const row = span.row;
            var parts: [tokens][D.tile.vectors]D.Sums = @splat(@splat(@splat(0)));
            for (span.start..span.end) |group| {
                @prefetch(operands.next + group * group_size, .{ .locality = 2 });
                var codes: [D.tile.vectors]D.Word = undefined;
                inline for (&codes, 0..) |*code, v| {
                    const at = group * block_rows + row + v * D.lanes;
                    code.* = operands.panel[at..][0..D.lanes].*;
                }
                inline for (&parts, 0..) |*token_parts, t| {
                    const x = D.broadcast(operands.words[group * tokens + t]);
                    inline for (token_parts, codes) |*part, code| part.* = D.add(part.*, code, x);
                }
            }
            inline for (parts, 0..) |token_parts, t| inline for (token_parts, 0..) |part, v| {
                const target = sums[t][row + v * D.lanes ..][0..D.lanes];
                target.* = @as(Lanes, target.*) +% D.total(part);
            };
        }
    };
}

const Panel = struct { tile_count: usize, words: [*]align(64) u32 };

/// Packed codes to one byte each, in words of four columns.
fn unpackPanel(
    comptime D: type,
    comptime packing: tiles.Packing,
    weights: [*]const u8,
    panel: Panel,
) void {
    const Codes = tiles.Codes(D, packing);
    for (0..panel.tile_count) |tile| {
        inline for (0..block_rows / D.lanes) |vector| {
            const row = vector * D.lanes;
            const source: *align(4 * D.lanes) const D.Word =
                @ptrCast(@alignCast(weights + tile * tile_size + 4 * row));
            const opened = Codes.open(source.*);
            inline for (0..Codes.groups) |group| {
                const at = (tile * Codes.groups + group) * block_rows + row;
                panel.words[at..][0..D.lanes].* = Codes.group(opened, group, 0);
            }
        }
    }
}

/// Packs the activations of a piece and sums them.
fn packTokens(x: *const View, pack: *const Pack) void {
    for (0..pack.tiles) |index| {
        const tile = pack.tile(index);
        for (pack.x_sums[tile.start..][0..tile.count], tile.x_start..) |*x_sum, token| {
            x_sum.* = gemv.sum(x.row(i8, token));
        }
        var t: usize = 0;
        while (t + 4 <= tile.count) : (t += 4) packRows(4, x, &tile, t);
        while (t < tile.count) : (t += 1) packRows(1, x, &tile, t);
    }
}

/// Packs `count` tokens from the `first`th of the tile on; columns past the last are 0.
fn packRows(comptime count: usize, x: *const View, tile: *const Pack.Tile, first: usize) void {
    const step = 16;
    const columns = x.dims[1];
    var column: usize = 0;
    while (column < tile.groups * 4) : (column += step) {
        var words: [count][step / 4]u32 = undefined;
        for (&words, tile.x_start + first..) |*row_words, token| {
            const row = x.row(i8, token)[@min(column, columns)..];
            if (row.len >= step) {
                row_words.* = @bitCast(row[0..step].*);
            } else {
                var padded: [step]i8 = @splat(0);
                @memcpy(padded[0..row.len], row);
                row_words.* = @bitCast(padded);
            }
        }
        for (0..@min(step / 4, tile.groups - column / 4)) |group| {
            var across: [count]u32 = undefined;
            for (&across, words) |*word, row_words| word.* = row_words[group];
            tile.words[(column / 4 + group) * tile.count + first ..][0..count].* = across;
        }
    }
}
