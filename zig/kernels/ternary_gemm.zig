//! Ternary matrix times many int8 vectors: sum_k (w[n,k] + 1) * x[k] - sum_k x[k], by tiles that
//! stay in registers (some vectors of weight rows times some tokens).
//!
//! Per worker and piece of the tokens, activations are packed once as words (tile, column / 4,
//! token). Then each block of 32 weight rows is unpacked once, by panels of up to 4096 columns, to
//! words of codes (column / 4, row) that all tiles share. Sums lie in scratch and start at -sum x.

const std = @import("std");
const gemv = @import("ternary_gemv.zig");
const output_types = @import("ternary_output.zig");
const View = @import("task.zig").View;

const Output = output_types.Output;
const block_rows = output_types.block_rows;
const tile_columns = gemv.tile_columns;
const tile_size = gemv.tile_size;

/// Columns of a panel: its 128 KiB share the second-level cache with the activations.
const panel_columns = 4096;

/// A range of weight blocks times all tokens.
pub const Work = struct {
    weights: [*]const u8, // tile2 of the whole matrix
    block_start: usize,
    block_end: usize,
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
    groups: usize, // column / 4, up to a multiple of 4
    first: usize,
    tokens: usize,
    tiles: usize,

    const Tile = struct { start: usize, count: usize, words: [*]u32 };

    /// Tiles differ by one token at most.
    fn tile(pack: *const Pack, index: usize) Tile {
        const start = pack.tokens * index / pack.tiles;
        const end = pack.tokens * (index + 1) / pack.tiles;
        return .{
            .start = start,
            .count = end - start,
            .words = pack.words + start * pack.groups,
        };
    }
};

/// `D` is a level of dot.zig.
pub fn Gemm(comptime D: type) type {
    return struct {
        const Lanes = @Vector(D.lanes, i32);

        pub fn run(work: *const Work, scratch: []align(64) u8) void {
            const tokens = work.x.dims[0];
            const columns = std.mem.alignForward(usize, work.x.dims[1], tile_columns);
            const panel_width: usize = @min(columns, panel_columns);
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
                for (work.block_start..work.block_end) |block| multiplyBlock(work, &pack, block);
            }
        }

        fn multiplyBlock(work: *const Work, pack: *const Pack, block: usize) void {
            for (pack.sums[0..pack.tokens], pack.x_sums) |*rows, x_sum| rows.* = @splat(-x_sum);
            const tiles = pack.groups / 4;
            const weights = work.weights + block * tiles * tile_size;
            var group: usize = 0;
            while (group < pack.groups) {
                const end = @min(pack.groups, group + panel_columns / 4);
                unpackPanel(weights + group / 4 * tile_size, (end - group) / 4, pack.panel);
                for (0..pack.tiles) |index| {
                    const tile = pack.tile(index);
                    switch (tile.count) {
                        inline 1...D.tile.tokens => |count| {
                            const words = tile.words + group * count;
                            multiplyTile(count, pack, words, end - group, pack.sums + tile.start);
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

        /// Adds the product of the panel and one tile of tokens to `sums`.
        fn multiplyTile(
            comptime tokens: usize,
            pack: *const Pack,
            words: [*]const u32, // (groups, tokens)
            groups: usize,
            sums: [*]Rows,
        ) void {
            const step = comptime D.stepsMax(gemv.code_max);
            var row: usize = 0;
            while (row < block_rows) : (row += D.tile.vectors * D.lanes) {
                var group: usize = 0;
                while (group < groups) {
                    const end = @min(groups, group + step);
                    addGroups(tokens, pack.panel + row, words, group, end, sums, row);
                    group = end;
                }
            }
        }

        inline fn addGroups(
            comptime tokens: usize,
            panel: [*]const u32, // (group, 32)
            words: [*]const u32, // (group, tokens)
            start: usize,
            end: usize,
            sums: [*]Rows,
            row: usize,
        ) void {
            var parts: [tokens][D.tile.vectors]D.Sums = @splat(@splat(@splat(0)));
            for (start..end) |group| {
                var codes: [D.tile.vectors]D.Word = undefined;
                inline for (&codes, 0..) |*code, v| {
                    code.* = panel[group * block_rows + v * D.lanes ..][0..D.lanes].*;
                }
                inline for (&parts, 0..) |*token_parts, t| {
                    const x = D.broadcast(words[group * tokens + t]);
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

/// Two-bit codes of `tiles` tiles to one byte each, in words of four columns.
fn unpackPanel(weights: [*]const u8, tiles: usize, panel: [*]align(64) u32) void {
    const Half = @Vector(16, u32);
    const mask: Half = @splat(0x03030303);
    for (0..tiles) |tile| {
        inline for (0..2) |half| {
            const source: *align(64) const Half =
                @ptrCast(@alignCast(weights + tile * tile_size + half * 64));
            const codes = source.*;
            inline for (0..4) |group| {
                const target = panel[(tile * 4 + group) * block_rows + half * 16 ..][0..16];
                target.* = (codes >> @splat(2 * group)) & mask;
            }
        }
    }
}

/// Packs the activations of a piece and sums them.
fn packTokens(x: *const View, pack: *const Pack) void {
    for (0..pack.tiles) |index| {
        const tile = pack.tile(index);
        for (0..tile.count) |t| {
            const row = x.row(i8, pack.first + tile.start + t);
            pack.x_sums[tile.start + t] = gemv.sum(row);
            const whole = row.len / 4;
            for (0..whole) |group| {
                tile.words[group * tile.count + t] = @bitCast(row[4 * group ..][0..4].*);
            }
            var last: [4]i8 = @splat(0);
            @memcpy(last[0 .. row.len % 4], row[4 * whole ..]);
            for (whole..pack.groups) |group| {
                tile.words[group * tile.count + t] = if (group == whole) @bitCast(last) else 0;
            }
        }
    }
}
