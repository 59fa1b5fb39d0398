//! Exact integer dot products, one implementation a level of the instruction set.
//!
//! `Ternary(level)`: a lane is a weight row, a word four codes of it (u8) or four activations (i8).
//! `add` adds sum_j code[j] * x[j] to every lane; `total` widens to i32. Sums may be kept in less
//! than 32 bits: after `stepsMax(code_max)` steps at most they have to be taken by `total`. It
//! holds for all activations, -128 included. Levels with products of small matrices have them as
//! `matrixOf(D)` beside.

const std = @import("std");
const builtin = @import("builtin");
const root = @import("root");

pub const Level = enum { scalar, v2, avx2, avxvnni, avx512vnni, neon, dotprod, i8mm };

const force_scalar = @hasDecl(root, "bn_force_scalar") and root.bn_force_scalar;

/// The level this object is compiled for.
pub const native: Level = if (force_scalar) .scalar else switch (builtin.cpu.arch) {
    .x86_64 => if (runs(.avx512vnni))
        .avx512vnni
    else if (runs(.avxvnni))
        .avxvnni
    else if (runs(.avx2))
        .avx2
    else if (runs(.v2))
        .v2
    else
        .scalar,
    .aarch64 => if (runs(.i8mm))
        .i8mm
    else if (runs(.dotprod))
        .dotprod
    else
        .neon,
    else => .scalar,
};

/// Whether the instruction set compiled for has what `level` needs.
pub fn runs(comptime level: Level) bool {
    return switch (level) {
        .scalar => true,
        .v2 => has86(.ssse3),
        .avx2 => has86(.avx2),
        .avxvnni => has86(.avxvnni) or (has86(.avx512vnni) and has86(.avx512vl)),
        .avx512vnni => has86(.avx512vnni) and has86(.avx512bw),
        .neon => builtin.cpu.arch == .aarch64,
        .dotprod => hasArm(.dotprod),
        .i8mm => hasArm(.dotprod) and hasArm(.i8mm),
    };
}

fn hasArm(comptime feature: std.Target.aarch64.Feature) bool {
    if (builtin.cpu.arch != .aarch64) return false;
    return std.Target.aarch64.featureSetHas(builtin.cpu.features, feature);
}

fn has86(comptime feature: std.Target.x86.Feature) bool {
    if (builtin.cpu.arch != .x86_64) return false;
    return std.Target.x86.featureSetHas(builtin.cpu.features, feature);
}

pub fn Ternary(comptime level: Level) type {
    return switch (level) {
        .scalar => Scalar,
        .v2 => MultiplyAddBytes(4),
        .avx2 => MultiplyAddBytes(8),
        .avxvnni => Vnni(8),
        .avx512vnni => Vnni(16),
        .neon => MultiplyLong,
        .dotprod => QuadDot(.signed),
        .i8mm => QuadDot(.mixed),
    };
}

/// The products of small matrices that a level has, or null; `D` is what `Ternary` gives.
pub fn matrixOf(comptime D: type) ?type {
    return if (@hasDecl(D, "matrix")) D.matrix else null;
}

/// Entries of the byte tables that a level looks a whole vector up in.
pub const Lookup = enum { none, sixteen, sixty_four };

/// What a matrix product keeps in registers: vectors of weight rows times tokens.
pub const Tile = struct { vectors: usize, tokens: usize };

/// The largest magnitude of an activation.
const x_max = 128;

/// How often a sum of `terms` products a step may grow inside a signed integer of `bits`.
fn stepsInside(comptime bits: u16, comptime terms: u64, comptime code_max: u64) usize {
    // Negative sums reach the lower bound exactly; positive ones stay below, as x is at most 127.
    return (1 << (bits - 1)) / (terms * code_max * x_max);
}

/// Loops over lanes and bytes: the definition, and the level of last resort.
const Scalar = struct {
    pub const lanes = 4;
    pub const Word = @Vector(lanes, u32);
    pub const Sums = @Vector(lanes, i32);
    pub const registers = 16;
    pub const code_limit = 255;
    pub const tile: Tile = .{ .vectors = 2, .tokens = 4 };
    pub const lookup: Lookup = .none;

    pub fn stepsMax(comptime code_max: u64) usize {
        return stepsInside(32, 4, code_max);
    }

    pub inline fn broadcast(word: u32) Word {
        return @splat(word);
    }

    pub noinline fn add(sums: Sums, codes: Word, x: Word) Sums {
        var result: [lanes]i32 = sums;
        const code_words: [lanes]u32 = codes;
        const x_words: [lanes]u32 = x;
        for (&result, code_words, x_words) |*sum, code_word, x_word| {
            for (0..4) |byte| {
                const shift: u5 = @intCast(8 * byte);
                const code: u8 = @truncate(code_word >> shift);
                const value: i8 = @bitCast(@as(u8, @truncate(x_word >> shift)));
                sum.* +%= @as(i32, code) * value;
            }
        }
        return result;
    }

    pub inline fn total(sums: Sums) @Vector(lanes, i32) {
        return sums;
    }
};

/// x86 vpmaddubsw: pairs of products into i16, which `total` widens by pmaddwd with ones.
fn MultiplyAddBytes(comptime lane_count: comptime_int) type {
    return struct {
        pub const lanes = lane_count;
        pub const Word = @Vector(lanes, u32);
        pub const Sums = @Vector(2 * lanes, i16);
        pub const registers = 16;
        /// One product pair of larger codes would saturate.
        pub const code_limit = 127;
        pub const tile: Tile = .{ .vectors = 2, .tokens = if (lanes == 8) 5 else 4 };
        pub const lookup: Lookup = .sixteen;

        const Bytes = @Vector(4 * lanes, i8);

        pub fn stepsMax(comptime code_max: u64) usize {
            return stepsInside(16, 2, code_max);
        }

        pub inline fn broadcast(word: u32) Word {
            return @splat(word);
        }

        pub inline fn add(sums: Sums, codes: Word, x: Word) Sums {
            const c: Bytes = @bitCast(codes);
            const v: Bytes = @bitCast(x);
            return sums +% switch (lanes) {
                4 => @"llvm.x86.ssse3.pmadd.ub.sw.128"(c, v),
                8 => @"llvm.x86.avx2.pmadd.ub.sw"(c, v),
                else => comptime unreachable,
            };
        }

        pub inline fn total(sums: Sums) @Vector(lanes, i32) {
            return multiplyAddPairs(lanes, sums, @splat(1));
        }
    };
}

/// x86 vpdpbusd: four products into i32 in one step.
fn Vnni(comptime lane_count: comptime_int) type {
    return struct {
        pub const lanes = lane_count;
        pub const Word = @Vector(lanes, u32);
        pub const Sums = @Vector(lanes, i32);
        pub const registers = if (lanes == 16) 32 else 16;
        pub const code_limit = 255;
        pub const tile: Tile = .{ .vectors = 2, .tokens = if (lanes == 16) 12 else 6 };
        pub const lookup: Lookup = if (lanes == 16 and has86(.avx512vbmi))
            .sixty_four
        else
            .sixteen;

        pub fn stepsMax(comptime code_max: u64) usize {
            return stepsInside(32, 4, code_max);
        }

        /// Pinned in a register where the dot product could swallow the load: an embedded
        /// broadcast is loaded again for every use, which halves the speed.
        pub inline fn broadcast(word: u32) Word {
            const spread: Word = @splat(word);
            if (lanes != 16) return spread;
            return asm (""
                : [pinned] "=v" (-> Word),
                : [spread] "0" (spread),
            );
        }

        pub inline fn add(sums: Sums, codes: Word, x: Word) Sums {
            return switch (lanes) {
                8 => @"llvm.x86.avx512.vpdpbusd.256"(sums, @bitCast(codes), @bitCast(x)),
                16 => @"llvm.x86.avx512.vpdpbusd.512"(sums, @bitCast(codes), @bitCast(x)),
                else => comptime unreachable,
            };
        }

        pub inline fn total(sums: Sums) @Vector(lanes, i32) {
            return sums;
        }
    };
}

/// ARM sdot, both operands signed, or usdot of i8mm, whose codes are unsigned.
fn QuadDot(comptime kind: enum { signed, mixed }) type {
    return struct {
        pub const lanes = 4;
        pub const Word = @Vector(lanes, u32);
        pub const Sums = @Vector(lanes, i32);
        pub const registers = 32;
        pub const code_limit = if (kind == .mixed) 255 else 127;
        pub const tile: Tile = if (kind == .mixed)
            .{ .vectors = 2, .tokens = 12 }
        else
            .{ .vectors = 4, .tokens = 6 };
        pub const lookup: Lookup = .sixty_four;
        pub const matrix: ?type = if (kind == .mixed) MatrixMultiply else null;

        pub fn stepsMax(comptime code_max: u64) usize {
            return stepsInside(32, 4, code_max);
        }

        pub inline fn broadcast(word: u32) Word {
            return @splat(word);
        }

        pub inline fn add(sums: Sums, codes: Word, x: Word) Sums {
            const multiply = switch (kind) {
                .signed => @"llvm.aarch64.neon.sdot.v4i32.v16i8",
                .mixed => @"llvm.aarch64.neon.usdot.v4i32.v16i8",
            };
            return multiply(sums, @bitCast(codes), @bitCast(x));
        }

        pub inline fn total(sums: Sums) @Vector(lanes, i32) {
            return sums;
        }
    };
}

/// ARM smmla and usmmla: two rows of eight codes times two of eight activations, and lane 2 i + j
/// has the sum of code row i with activation row j. Twice the products of a dot product.
const MatrixMultiply = struct {
    pub const Bytes = @Vector(16, u8);
    pub const Sums = @Vector(4, i32);

    pub inline fn add(comptime code_max: u64, sums: Sums, codes: Bytes, x: Bytes) Sums {
        return if (code_max <= 127)
            @"llvm.aarch64.neon.smmla.v4i32.v16i8"(sums, @bitCast(codes), @bitCast(x))
        else
            @"llvm.aarch64.neon.usmmla.v4i32.v16i8"(sums, @bitCast(codes), @bitCast(x));
    }
};

/// ARM smlal: every product its own i16, two vectors of two rows each.
const MultiplyLong = struct {
    pub const lanes = 4;
    pub const Word = @Vector(lanes, u32);
    pub const Sums = @Vector(16, i16);
    pub const registers = 32;
    pub const code_limit = 127;
    pub const tile: Tile = .{ .vectors = 2, .tokens = 6 };
    pub const lookup: Lookup = .sixty_four;

    const Bytes = @Vector(16, i8);

    pub fn stepsMax(comptime code_max: u64) usize {
        return stepsInside(16, 1, code_max);
    }

    pub inline fn broadcast(word: u32) Word {
        return @splat(word);
    }

    pub inline fn add(sums: Sums, codes: Word, x: Word) Sums {
        const c: Bytes = @bitCast(codes);
        const v: Bytes = @bitCast(x);
        return sums +% @as(Sums, c) *% @as(Sums, v);
    }

    pub inline fn total(sums: Sums) @Vector(lanes, i32) {
        // Callers unroll loops around the standard library's own.
        @setEvalBranchQuota(10_000);
        const even: @Vector(8, i32) = std.simd.deinterlace(2, sums)[0];
        const odd: @Vector(8, i32) = std.simd.deinterlace(2, sums)[1];
        const halves = std.simd.deinterlace(2, even + odd);
        return halves[0] + halves[1];
    }
};

inline fn multiplyAddPairs(
    comptime lanes: comptime_int,
    a: @Vector(2 * lanes, i16),
    b: @Vector(2 * lanes, i16),
) @Vector(lanes, i32) {
    return switch (lanes) {
        4 => @"llvm.x86.sse2.pmadd.wd"(a, b),
        8 => @"llvm.x86.avx2.pmadd.wd"(a, b),
        else => comptime unreachable,
    };
}

extern fn @"llvm.x86.ssse3.pmadd.ub.sw.128"(@Vector(16, i8), @Vector(16, i8)) @Vector(8, i16);
extern fn @"llvm.x86.avx2.pmadd.ub.sw"(@Vector(32, i8), @Vector(32, i8)) @Vector(16, i16);
extern fn @"llvm.x86.sse2.pmadd.wd"(@Vector(8, i16), @Vector(8, i16)) @Vector(4, i32);
extern fn @"llvm.x86.avx2.pmadd.wd"(@Vector(16, i16), @Vector(16, i16)) @Vector(8, i32);
extern fn @"llvm.x86.avx512.vpdpbusd.256"(
    @Vector(8, i32),
    @Vector(8, i32),
    @Vector(8, i32),
) @Vector(8, i32);
extern fn @"llvm.x86.avx512.vpdpbusd.512"(
    @Vector(16, i32),
    @Vector(16, i32),
    @Vector(16, i32),
) @Vector(16, i32);
extern fn @"llvm.aarch64.neon.sdot.v4i32.v16i8"(
    @Vector(4, i32),
    @Vector(16, i8),
    @Vector(16, i8),
) @Vector(4, i32);

extern fn @"llvm.aarch64.neon.usdot.v4i32.v16i8"(
    @Vector(4, i32),
    @Vector(16, i8),
    @Vector(16, i8),
) @Vector(4, i32);
extern fn @"llvm.aarch64.neon.smmla.v4i32.v16i8"(
    @Vector(4, i32),
    @Vector(16, i8),
    @Vector(16, i8),
) @Vector(4, i32);
extern fn @"llvm.aarch64.neon.usmmla.v4i32.v16i8"(
    @Vector(4, i32),
    @Vector(16, i8),
    @Vector(16, i8),
) @Vector(4, i32);

fn checkTernary(comptime level: Level) !void {
    if (!comptime runs(level)) return;
    const D = Ternary(level);
    var random = std.Random.DefaultPrng.init(7);
    inline for (.{ 2, 8 }) |code_max| {
        const steps = @min(D.stepsMax(code_max), 64);
        for ([_]enum { low, high, mixed }{ .low, .high, .mixed }) |kind| {
            var sums: D.Sums = @splat(0);
            var want: [D.lanes]i32 = @splat(0);
            for (0..steps) |_| {
                var codes: [4 * D.lanes]u8 = undefined;
                var x: [4]i8 = undefined;
                for (&codes) |*code| code.* = switch (kind) {
                    .mixed => random.random().uintAtMost(u8, code_max),
                    else => code_max,
                };
                for (&x) |*value| value.* = switch (kind) {
                    .low => -128,
                    .high => 127,
                    .mixed => random.random().int(i8),
                };
                sums = D.add(sums, @bitCast(codes), D.broadcast(@bitCast(x)));
                for (&want, 0..) |*sum, lane| {
                    for (0..4) |i| sum.* += @as(i32, codes[4 * lane + i]) * x[i];
                }
            }
            try std.testing.expectEqual(want, @as([D.lanes]i32, D.total(sums)));
        }
    }
}

test "Ternary: sums are exact up to the last step allowed, at both ends of the activations" {
    inline for (comptime std.enums.values(Level)) |level| try checkTernary(level);
}

test "matrixOf: sums of two rows with two are exact at both ends of the activations" {
    inline for (comptime std.enums.values(Level)) |level| if (comptime runs(level)) {
        const M = comptime matrixOf(Ternary(level)) orelse continue;
        inline for (.{ 2, 15, 255 }) |code_max| {
            var random = std.Random.DefaultPrng.init(9);
            for ([_]?i8{ -128, 127, null }) |fixed| {
                var codes: [2][8]u8 = undefined;
                var x: [2][8]i8 = undefined;
                var want: [2][2]i32 = @splat(@splat(-7));
                for (&codes) |*row| for (row) |*code| {
                    code.* = random.random().uintAtMost(u8, code_max);
                    if (fixed != null) code.* = code_max;
                };
                for (&x) |*row| for (row) |*value| {
                    value.* = fixed orelse random.random().int(i8);
                };
                for (&want, codes) |*sums, row| for (sums, x) |*sum, values| {
                    for (row, values) |code, value| sum.* += @as(i32, code) * value;
                };
                const got = M.add(code_max, @splat(-7), @bitCast(codes), @bitCast(x));
                try std.testing.expectEqual(want, @as([2][2]i32, @bitCast(got)));
            }
        }
    };
}
