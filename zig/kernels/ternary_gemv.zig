//! Ternary matrix times few int8 vectors: sum_k (w[n,k] + 1) * x[k] for a block of 32 weight rows.
//!
//! The block's packed bytes are walked once from front to end. Each word of four activations is
//! broadcast to all rows; a vector of weight words is unpacked once for all tokens. Where registers
//! allow, codes are not shifted down: code pairs at bit 2i are masked in place and summed apart as
//! multiples of 4^i, which `total` shifts away: exact, as every such sum is a multiple.

const std = @import("std");
const tiles = @import("ternary_tiles.zig");

const block_rows = tiles.block_rows;
const tile_size = tiles.tile_size;

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

/// With several tokens the stream moves so slowly that the processor stops fetching ahead by
/// itself; with one or two it does it better than these hints.
const prefetch_tokens = 3;
const prefetch_size = 4096;

/// More tokens than these are better served by the tiles of ternary_gemm.
pub fn tokensMax(comptime D: type) usize {
    return if (D.registers == 32 and D.lanes == 16) 8 else 4;
}

/// The product for a fixed count of tokens; `D` is a level of dot.zig.
pub fn Gemv(comptime D: type, comptime packing: tiles.Packing, comptime tokens: usize) type {
    return struct {
        /// What is multiplied: one block of weight rows, and activations padded to whole tiles.
        pub const Operands = struct {
            weights: [*]const u8, // (tile_count, 128)
            tile_count: usize,
            x: [tokens][*]const u8, // i8 (tokens, tile_count * tile columns)
        };

        /// `sums[t][n]` = sum over columns of code(n, column) * x[t][column].
        pub const Sums = [tokens][block_rows]i32;

        pub const tile_columns = packing.columns();
        pub const token_count = tokens;

        const Codes = tiles.Codes(D, packing);
        const vectors = block_rows / D.lanes;
        const Lanes = @Vector(D.lanes, i32);
        const plan = planned();
        const Parts = [tokens][plan.pass_vectors][plan.scales]D.Sums;

        /// How registers are spent: vectors of rows done in one pass, and sums apart by scale.
        const Plan = struct { pass_vectors: usize, scales: usize };

        fn planned() Plan {
            var best: Plan = .{ .pass_vectors = vectors, .scales = 1 };
            while (!fits(best)) best.pass_vectors /= 2;
            while (best.scales < 4) {
                var more = best;
                more.scales *= 2;
                if (codeMax(more.scales) > D.code_limit or !fits(more)) break;
                best = more;
            }
            return best;
        }

        /// Sums, weights, codes that several tokens share and masks; two registers remain.
        fn fits(candidate: Plan) bool {
            const sum_registers = @sizeOf(D.Sums) / @sizeOf(D.Word);
            const sums = tokens * candidate.pass_vectors * candidate.scales * sum_registers;
            const codes = candidate.pass_vectors * @min(tokens, 2);
            const kept = candidate.scales + Codes.registers;
            return sums + codes + kept + 2 <= D.registers;
        }

        /// The largest code in place when the lowest `scales` pairs of bits are not shifted.
        fn codeMax(scales: usize) u64 {
            return @as(u64, tiles.code_max) << @intCast(2 * (scales - 1));
        }

        /// Tiles until sums have to be widened.
        fn tilesMax() usize {
            var additions: [plan.scales]usize = @splat(0);
            for (0..Codes.groups) |group| additions[Codes.scaleOf(group, plan.scales)] += 1;
            return D.stepsMax(codeMax(plan.scales)) / std.mem.max(usize, &additions);
        }

        pub fn run(operands: *const Operands, sums: *align(64) Sums) void {
            inline for (0..vectors / plan.pass_vectors) |pass| {
                runPass(operands, pass * plan.pass_vectors * D.lanes, sums);
            }
        }

        inline fn runPass(
            operands: *const Operands,
            comptime first: usize,
            sums: *align(64) Sums,
        ) void {
            const span = comptime tilesMax();
            var totals: [tokens][plan.pass_vectors]Lanes = @splat(@splat(@splat(0)));
            var tile: usize = 0;
            while (tile < operands.tile_count) {
                var parts: Parts = @splat(@splat(@splat(@splat(0))));
                const end = @min(operands.tile_count, tile + span);
                while (tile < end) : (tile += 1) {
                    if (tokens >= prefetch_tokens) {
                        const ahead = operands.weights + tile * tile_size + prefetch_size;
                        @prefetch(ahead, .{});
                        @prefetch(ahead + tile_size / 2, .{});
                    }
                    addTile(operands, tile, first, &parts);
                }
                inline for (&totals, parts) |*token_totals, token_parts| {
                    inline for (token_totals, token_parts) |*total, scaled| {
                        inline for (scaled, 0..) |part, scale| {
                            total.* +%= D.total(part) >> @splat(2 * scale);
                        }
                    }
                }
            }
            inline for (sums, totals) |*token_sums, token_totals| {
                inline for (token_totals, 0..) |total, v| {
                    token_sums[first + v * D.lanes ..][0..D.lanes].* = total;
                }
            }
        }

        inline fn addTile(
            operands: *const Operands,
            tile: usize,
            comptime first: usize,
            parts: *Parts,
        ) void {
            const weights = operands.weights + tile * tile_size + 4 * first;
            var opened: [plan.pass_vectors]Codes.Opened = undefined;
            inline for (&opened, 0..) |*one, v| {
                const source: *align(4 * D.lanes) const D.Word =
                    @ptrCast(@alignCast(weights + v * 4 * D.lanes));
                one.* = Codes.open(source.*);
            }
            inline for (0..Codes.groups) |group| {
                const scale = comptime Codes.scaleOf(group, plan.scales);
                var codes: [plan.pass_vectors]D.Word = undefined;
                inline for (&codes, opened) |*code, one| code.* = Codes.group(one, group, scale);
                inline for (parts, operands.x) |*token_parts, x| {
                    const source = x + tile * tile_columns + group * 4;
                    const value = D.broadcast(std.mem.bytesToValue(u32, source[0..4]));
                    inline for (token_parts, codes) |*scaled, code| {
                        scaled[scale] = D.add(scaled[scale], code, value);
                    }
                }
            }
        }
    };
}
