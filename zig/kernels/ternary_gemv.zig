//! Ternary matrix times few int8 vectors: sum_k (w[n,k] + 1) * x[k] for a block of 32 weight rows.
//!
//! The block's tile2 bytes are walked once from front to end. Each word of four activations is
//! broadcast to all rows; a vector of weight words is unpacked once for all tokens. Where registers
//! allow, codes are not shifted down: code pairs at bit 2i are masked in place and summed apart as
//! multiples of 4^i, which `total` shifts away: exact, as every such sum is a multiple.

const std = @import("std");
const output = @import("ternary_output.zig");

const block_rows = output.block_rows;

/// Columns of a tile, and its bytes: 32 rows of 16 columns, two bits each.
pub const tile_columns = 16;
pub const tile_size = 128;

/// The largest code, for weight 1.
pub const code_max = 2;

/// Of activations: what a product with codes has too much, as a code is its weight plus one.
pub fn sum(x: []const i8) i32 {
    const width = 32;
    var lanes: @Vector(width, i32) = @splat(0);
    var i: usize = 0;
    while (i + width <= x.len) : (i += width) lanes += @as(@Vector(width, i8), x[i..][0..width].*);
    var result = @reduce(.Add, lanes);
    for (x[i..]) |value| result += value;
    return result;
}

/// `D` is a level of dot.zig.
pub fn Gemv(comptime D: type) type {
    return struct {
        /// More tokens than these are better served by the tiles of ternary_gemm.
        pub const tokens_max = if (D.registers == 32 and D.lanes == 16) 8 else 4;

        const vectors = block_rows / D.lanes;
        const Lanes = @Vector(D.lanes, i32);

        /// How the accumulators are spent: rows done in one pass, and sums kept apart by scale.
        const Plan = struct { pass_vectors: usize, scales: usize };

        fn planFor(comptime tokens: usize) Plan {
            const budget = D.registers / 2 * @sizeOf(D.Word) / @sizeOf(D.Sums);
            var plan: Plan = .{ .pass_vectors = vectors, .scales = 1 };
            while (plan.pass_vectors > 1 and tokens * plan.pass_vectors > budget) {
                plan.pass_vectors /= 2;
            }
            while (plan.scales < 4 and
                tokens * plan.pass_vectors * plan.scales * 2 <= budget and
                codeMax(2 * plan.scales) <= D.code_limit) plan.scales *= 2;
            return plan;
        }

        /// The largest code in place when the lowest `scales` pairs of bits are not shifted.
        fn codeMax(comptime scales: usize) u64 {
            return code_max << (2 * (scales - 1));
        }

        /// `sums[t][n]` = sum over columns of code(n, column) * x[t][column]; every x has
        /// `tiles * 16` activations.
        pub fn run(
            comptime tokens: usize,
            weights: [*]const u8, // (tiles, 128)
            tiles: usize,
            x: *const [tokens][*]const u8, // i8 (tokens, tiles * 16)
            sums: *align(64) [tokens][block_rows]i32,
        ) void {
            const plan = comptime planFor(tokens);
            inline for (0..vectors / plan.pass_vectors) |pass| {
                const first = pass * plan.pass_vectors * D.lanes;
                runPass(tokens, plan, weights + 4 * first, tiles, x, sums, first);
            }
        }

        inline fn runPass(
            comptime tokens: usize,
            comptime plan: Plan,
            weights: [*]const u8,
            tiles: usize,
            x: *const [tokens][*]const u8,
            sums: *align(64) [tokens][block_rows]i32,
            comptime first: usize,
        ) void {
            const span = comptime D.stepsMax(codeMax(plan.scales)) / (4 / plan.scales);
            var totals: [tokens][plan.pass_vectors]Lanes = @splat(@splat(@splat(0)));
            var tile: usize = 0;
            while (tile < tiles) {
                var parts: [tokens][plan.pass_vectors][plan.scales]D.Sums =
                    @splat(@splat(@splat(@splat(0))));
                const end = @min(tiles, tile + span);
                while (tile < end) : (tile += 1) {
                    addTile(tokens, plan, weights + tile * tile_size, x, tile, &parts);
                }
                inline for (0..tokens) |t| inline for (0..plan.pass_vectors) |v| {
                    inline for (0..plan.scales) |scale| {
                        totals[t][v] +%= D.total(parts[t][v][scale]) >> @splat(2 * scale);
                    }
                };
            }
            inline for (0..tokens) |t| inline for (0..plan.pass_vectors) |v| {
                sums[t][first + v * D.lanes ..][0..D.lanes].* = totals[t][v];
            };
        }

        inline fn addTile(
            comptime tokens: usize,
            comptime plan: Plan,
            weights: [*]const u8,
            x: *const [tokens][*]const u8,
            tile: usize,
            parts: *[tokens][plan.pass_vectors][plan.scales]D.Sums,
        ) void {
            var words: [plan.pass_vectors]D.Word = undefined;
            inline for (&words, 0..) |*word, v| {
                const source: *align(4 * D.lanes) const D.Word =
                    @ptrCast(@alignCast(weights + v * 4 * D.lanes));
                word.* = source.*;
            }
            inline for (0..4) |step| {
                const scale = step % plan.scales;
                var codes: [plan.pass_vectors]D.Word = undefined;
                inline for (&codes, words) |*code, word| {
                    const mask: D.Word = @splat(0x03030303 << (2 * scale));
                    code.* = (word >> @splat(2 * (step - scale))) & mask;
                }
                inline for (0..tokens) |t| {
                    const source = x[t] + tile * tile_columns + step * 4;
                    const value = D.broadcast(std.mem.bytesToValue(u32, source[0..4]));
                    inline for (0..plan.pass_vectors) |v| {
                        const part = &parts[t][v][scale];
                        part.* = D.add(part.*, codes[v], value);
                    }
                }
            }
        }
    };
}
