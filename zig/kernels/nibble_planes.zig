//! Int8 rows as two planes of nibbles, and exact sums of a plane, or both, with wide activations.
//!
//! A weight w is the byte w + 128 = 16 * high + low. Layout `nibble4` of one plane: rows padded to
//! 4, columns to 128; blocks of 4 rows, in each chunks of 128 columns, in each a line of 64 bytes a
//! row, whose byte j holds column j of the chunk in its low nibble and column 64 + j in its high
//! one. A block is one stream, and a row's lines are whole: both read well from memory.
//!
//! Activations, i16, are two planes of bytes too: x = 256 * upper + lower, both signed. Sums wrap
//! in i32 on the way; a result that fits is exact. Where the level multiplies matrices, two rows by
//! a token's upper and lower bytes are one.

const std = @import("std");
const dot = @import("dot.zig");
const View = @import("task.zig").View;

pub const block_rows = 4;
pub const chunk_columns = 128;
pub const line_size = chunk_columns / 2;
pub const chunk_size = block_rows * line_size;

/// What is added to a weight.
pub const offset = 128;
const nibble_max = 15;

/// The largest activation whose upper byte fits; larger ones count as it.
pub const x_max = 32639;

/// Chunks of a row.
pub fn chunksOf(columns: usize) usize {
    return (columns + chunk_columns - 1) / chunk_columns;
}

/// Where a block of a plane begins.
pub fn blockOf(plane: *const View, block: usize) [*]const u8 {
    return plane.data + block * chunksOf(plane.dims[1]) * chunk_size;
}

/// One token's activations in two planes, padded with zeros to whole chunks.
pub const Activations = struct {
    upper: [*]const u8,
    lower: [*]const u8,
    sum: i32,

    /// Scratch that one token of so many columns takes.
    pub fn size(columns: usize) usize {
        return 2 * chunksOf(columns) * chunk_columns;
    }

    pub fn split(x: []const i16, scratch: []u8) Activations {
        const width = 32;
        const Words = @Vector(width, i16);
        const padded = chunksOf(x.len) * chunk_columns;
        const upper = scratch[0..padded];
        const lower = scratch[padded..][0..padded];
        var total: i32 = 0;
        var at: usize = 0;
        while (at < padded) : (at += width) {
            var words: [width]i16 = @splat(0);
            if (at + width <= x.len) {
                words = x[at..][0..width].*;
            } else if (at < x.len) {
                @memcpy(words[0 .. x.len - at], x[at..]);
            }
            const values = @min(@as(Words, words), @as(Words, @splat(x_max)));
            const low: @Vector(width, i8) = @truncate(values);
            const high: @Vector(width, i8) = @truncate((values - @as(Words, low)) >> @splat(8));
            lower[at..][0..width].* = @bitCast(low);
            upper[at..][0..width].* = @bitCast(high);
            total +%= @reduce(.Add, @as(@Vector(width, i32), values));
        }
        return .{ .upper = upper.ptr, .lower = lower.ptr, .sum = total };
    }
};

/// `one` plane gives sum(x * code), `both` sum(x * (w + 128)).
pub const Planes = enum { one, both };

/// Tokens whose sums with a whole block stay in registers; `D` is a level of dot.zig.
pub fn tokensOf(comptime D: type) usize {
    if (dot.matrixOf(D) != null) return 4;
    const sum_registers = @sizeOf(D.Sums) / @sizeOf(D.Word);
    return if (D.registers >= 24 * sum_registers) 2 else 1;
}

/// Some rows of a block times some tokens.
pub fn Product(comptime D: type, comptime rows: usize, comptime tokens: usize) type {
    return struct {
        pub const Operands = struct {
            /// The first row's first line; `low` is read for both planes alone.
            high: [*]const u8,
            low: [*]const u8 = undefined,
            chunks: usize,
            x: [tokens]Activations,
            /// Asks memory for the next block meanwhile: arithmetic holds up its stream otherwise.
            ahead: bool = false,
        };

        pub const Result = [tokens][rows]i32;

        /// A lone sum would wait for itself.
        const turns = if (rows * tokens == 1) 2 else 1;
        const Lanes = @Vector(D.lanes, i32);
        /// Of a token's activations with a row: upper and lower bytes.
        const Parts = [tokens][rows][turns][2]D.Sums;
        const vector_size = 4 * D.lanes;
        const vectors = line_size / vector_size;

        pub fn run(comptime planes: Planes, operands: *const Operands) Result {
            if (planes == .one) return sum(.one, operands);
            if (D.code_limit >= 255) return sum(.both, operands);
            var lower = operands.*;
            lower.high = operands.low;
            var result = sum(.one, operands);
            const rest = sum(.one, &lower);
            for (&result, rest) |*token_sums, token_rest| {
                for (token_sums, token_rest) |*high, low| high.* = high.* *% 16 +% low;
            }
            return result;
        }

        inline fn sum(comptime planes: Planes, operands: *const Operands) Result {
            @setEvalBranchQuota(10_000);
            if (dot.matrixOf(D)) |M| {
                if (rows == block_rows and tokens > 1) return sumMatrices(M, planes, operands);
            }
            const code_max = if (planes == .one) nibble_max else 255;
            const span = comptime D.stepsMax(code_max) / (2 * vectors / turns);
            var totals: [tokens][rows]Lanes = @splat(@splat(@splat(0)));
            var chunk: usize = 0;
            while (chunk < operands.chunks) {
                var parts: Parts = @splat(@splat(@splat(@splat(@splat(0)))));
                const end = @min(operands.chunks, chunk + span);
                while (chunk < end) : (chunk += 1) {
                    if (operands.ahead) fetch(planes, operands, chunk);
                    inline for (0..vectors) |vector| {
                        add(planes, operands, chunk, vector * vector_size, &parts);
                    }
                }
                inline for (&totals, parts) |*token_totals, token_parts| {
                    inline for (token_totals, token_parts) |*total, turn_parts| {
                        inline for (turn_parts) |part| {
                            const upper = D.total(part[0]) *% @as(Lanes, @splat(256));
                            total.* +%= upper +% D.total(part[1]);
                        }
                    }
                }
            }
            var result: Result = undefined;
            inline for (&result, totals) |*token_sums, token_totals| {
                inline for (token_sums, token_totals) |*one, total| one.* = @reduce(.Add, total);
            }
            return result;
        }

        /// The same lines of the next block.
        inline fn fetch(comptime planes: Planes, operands: *const Operands, chunk: usize) void {
            const at = (operands.chunks + chunk) * chunk_size;
            inline for (0..rows) |row| {
                const line = at + row * line_size;
                // Into the second level: the first has the activations to hold.
                @prefetch(operands.high + line, .{ .locality = 2 });
                if (planes == .both) @prefetch(operands.low + line, .{ .locality = 2 });
            }
        }

        /// One vector of every row's line.
        inline fn add(
            comptime planes: Planes,
            operands: *const Operands,
            chunk: usize,
            comptime at: usize,
            parts: *Parts,
        ) void {
            const Values = [tokens][2][2]D.Word;
            var values: Values = undefined;
            inline for (&values, operands.x) |*halves, x| inline for (halves, 0..) |*half, h| {
                const column = chunk * chunk_columns + h * line_size + at;
                half.* = .{ load(x.upper + column), load(x.lower + column) };
            };
            inline for (0..rows) |row| {
                const line = chunk * chunk_size + row * line_size + at;
                const codes = if (planes == .one)
                    nibbles(load(operands.high + line))
                else
                    bytes(load(operands.high + line), load(operands.low + line));
                inline for (0..tokens) |token| inline for (codes, 0..) |code, half| {
                    const part = &parts[token][row][half % turns];
                    inline for (part, values[token][half]) |*one, value| {
                        one.* = D.add(one.*, code, value);
                    }
                };
            }
        }

        /// Two rows by a token's upper and lower bytes, eight columns a step.
        inline fn sumMatrices(
            comptime M: type,
            comptime planes: Planes,
            operands: *const Operands,
        ) Result {
            var parts: [tokens][rows / 2]M.Sums = @splat(@splat(@splat(0)));
            for (0..operands.chunks) |chunk| {
                if (operands.ahead) fetch(planes, operands, chunk);
                inline for (0..vectors) |vector| {
                    addMatrices(M, planes, operands, chunk, vector * vector_size, &parts);
                }
            }
            var result: Result = undefined;
            inline for (&result, parts) |*token_sums, pairs| inline for (pairs, 0..) |part, pair| {
                token_sums[2 * pair] = part[0] *% 256 +% part[1];
                token_sums[2 * pair + 1] = part[2] *% 256 +% part[3];
            };
            return result;
        }

        /// One vector of every row's line, the rows in pairs.
        inline fn addMatrices(
            comptime M: type,
            comptime planes: Planes,
            operands: *const Operands,
            chunk: usize,
            comptime at: usize,
            parts: *[tokens][rows / 2]M.Sums,
        ) void {
            var codes: [rows / 2][2][2]D.Word = undefined;
            inline for (&codes, 0..) |*pair_codes, pair| {
                const line = chunk * chunk_size + 2 * pair * line_size + at;
                const high = zip(operands.high + line);
                const low = if (planes == .both) zip(operands.low + line) else high;
                inline for (pair_codes, high, low) |*eight, upper, lower| {
                    eight.* = if (planes == .one) nibbles(upper) else bytes(upper, lower);
                }
            }
            const code_max = if (planes == .one) nibble_max else 255;
            inline for (0..2) |eight| inline for (0..2) |half| {
                const column = chunk * chunk_columns + half * line_size + at + 8 * eight;
                inline for (parts, operands.x) |*token_parts, x| {
                    const values: @Vector(2, u64) = .{
                        std.mem.bytesToValue(u64, x.upper[column..][0..8]),
                        std.mem.bytesToValue(u64, x.lower[column..][0..8]),
                    };
                    inline for (token_parts, codes) |*part, pair_codes| {
                        const code = pair_codes[eight][half];
                        part.* = M.add(code_max, part.*, @bitCast(code), @bitCast(values));
                    }
                }
            };
        }

        /// Eight bytes of two rows side by side, and the eight after them.
        inline fn zip(from: [*]const u8) [2]D.Word {
            const first: @Vector(2, u64) = @bitCast(load(from));
            const second: @Vector(2, u64) = @bitCast(load(from + line_size));
            return .{
                @bitCast(@Vector(2, u64){ first[0], second[0] }),
                @bitCast(@Vector(2, u64){ first[1], second[1] }),
            };
        }

        inline fn nibbles(word: D.Word) [2]D.Word {
            const mask: D.Word = @splat(0x0f0f0f0f);
            return .{ word & mask, (word >> @splat(4)) & mask };
        }

        inline fn bytes(high: D.Word, low: D.Word) [2]D.Word {
            const mask: D.Word = @splat(0x0f0f0f0f);
            return .{
                ((high & mask) << @splat(4)) | (low & mask),
                (high & ~mask) | ((low >> @splat(4)) & mask),
            };
        }

        inline fn load(from: [*]const u8) D.Word {
            return @as(*align(1) const D.Word, @ptrCast(from)).*;
        }
    };
}
