//! A panel of ternary codes times one tile of tokens, in registers:
//! sums[t][row] += sum_k code[row, k] * x[t, k] for the 32 rows of a block.
//!
//! A step is four columns by the level's dot product, a lane a row and each activation word
//! broadcast; or eight by its product of matrices, two rows by two tokens a register. Operands lie
//! as `depth` says, so that each is read front to back.

const std = @import("std");
const dot = @import("dot.zig");
const tiles = @import("ternary_tiles.zig");

const block_rows = tiles.block_rows;

/// Packed bytes of four columns of a block, at most.
const group_size = 32;

/// The sums of one token for the rows of a block.
pub const Rows = [block_rows]i32;

/// Words of four columns in a step.
pub fn depth(comptime D: type) usize {
    return if (dot.matrixOf(D) == null) 1 else 2;
}

pub const Operands = struct {
    panel: [*]const u32, // (steps, 32, depth)
    words: [*]const u32, // (steps, tokens of the tile, depth)
    steps: usize,
    /// Packed weights of the panel after this one, fetched ahead meanwhile.
    next: [*]const u8,
};

pub fn Product(comptime D: type, comptime tokens: usize) type {
    return if (dot.matrixOf(D)) |M| ByMatrices(D, M, tokens) else ByDots(D, tokens);
}

fn ByDots(comptime D: type, comptime tokens: usize) type {
    return struct {
        const Lanes = @Vector(D.lanes, i32);

        /// The rows of a register tile, from `row` on, and a range of steps.
        const Span = struct { row: usize, start: usize, end: usize };

        pub fn addTo(sums: [*]Rows, operands: *const Operands) void {
            const most = comptime D.stepsMax(tiles.code_max);
            var row: usize = 0;
            while (row < block_rows) : (row += D.tile.vectors * D.lanes) {
                var step: usize = 0;
                while (step < operands.steps) {
                    const end = @min(operands.steps, step + most);
                    addRows(sums, operands, .{ .row = row, .start = step, .end = end });
                    step = end;
                }
            }
        }

        /// One register tile: its rows over a range of steps.
        inline fn addRows(sums: [*]Rows, operands: *const Operands, span: Span) void {
            const row = span.row;
            var parts: [tokens][D.tile.vectors]D.Sums = @splat(@splat(@splat(0)));
            for (span.start..span.end) |step| {
                @prefetch(operands.next + step * group_size, .{ .locality = 2 });
                var codes: [D.tile.vectors]D.Word = undefined;
                inline for (&codes, 0..) |*code, v| {
                    const at = step * block_rows + row + v * D.lanes;
                    code.* = operands.panel[at..][0..D.lanes].*;
                }
                inline for (&parts, 0..) |*token_parts, t| {
                    const x = D.broadcast(operands.words[step * tokens + t]);
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

fn ByMatrices(comptime D: type, comptime M: type, comptime tokens: usize) type {
    return struct {
        const tile_rows = D.tile.vectors * D.lanes;
        const row_pairs = tile_rows / 2;
        const token_pairs = (tokens + 1) / 2;
        const Parts = [token_pairs][row_pairs]M.Sums;
        const Four = @Vector(4, u32);

        pub fn addTo(sums: [*]Rows, operands: *const Operands) void {
            var row: usize = 0;
            while (row < block_rows) : (row += tile_rows) addRows(sums, operands, row);
        }

        /// One register tile: the rows from `row` on over all steps.
        inline fn addRows(sums: [*]Rows, operands: *const Operands, row: usize) void {
            var parts: Parts = @splat(@splat(@splat(0)));
            for (0..operands.steps) |step| {
                @prefetch(operands.next + step * 2 * group_size, .{ .locality = 2 });
                var codes: [row_pairs]Four = undefined;
                inline for (&codes, 0..) |*code, pair| {
                    const at = (step * block_rows + row + 2 * pair) * 2;
                    code.* = operands.panel[at..][0..4].*;
                }
                inline for (&parts, 0..) |*pair_parts, pair| {
                    const x = load(operands.words + (step * tokens + 2 * pair) * 2, 2 * pair);
                    inline for (pair_parts, codes) |*part, code| {
                        part.* = M.add(tiles.code_max, part.*, @bitCast(code), @bitCast(x));
                    }
                }
            }
            inline for (parts, 0..) |pair_parts, pair| inline for (0..row_pairs / 2) |two| {
                // A part has one row's sums with two tokens, then the next row's.
                const both = std.simd.join(pair_parts[2 * two], pair_parts[2 * two + 1]);
                inline for (std.simd.deinterlace(2, both), 2 * pair..) |of_token, t| {
                    if (t == tokens) break;
                    const target = sums[t][row + 4 * two ..][0..4];
                    target.* = @as(M.Sums, target.*) +% of_token;
                }
            };
        }

        /// The words of two tokens; a last odd one stands for its neighbour too.
        inline fn load(words: [*]const u32, comptime token: usize) Four {
            if (token + 1 < tokens) return words[0..4].*;
            return .{ words[0], words[1], words[0], words[1] };
        }
    };
}
