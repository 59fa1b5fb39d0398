//! The sixteen f32 lanes every float kernel computes in, and what keeps results bit-equal on all
//! instruction sets: lane i takes elements i, 16 + i, ... in order, the last vector is padded with
//! zeros, and `fold` adds the halves 8, 4, 2, 1. Multiply and add stay separate; nothing calls out.
//!
//! Conversions are exact (f16, bf16 to f32) or round half to even (back); `exp` is our own:
//! e^x = 2^n * e^r with n = round(x / ln 2), e^r a polynomial on [-ln 2 / 2, ln 2 / 2].

const std = @import("std");
const builtin = @import("builtin");

pub const width = 16;
pub const F32 = @Vector(width, f32);
pub const I32 = @Vector(width, i32);
pub const U32 = @Vector(width, u32);
pub const U16 = @Vector(width, u16);

pub const zero: F32 = @splat(0);

/// The upper half of an f32.
pub const Bf16 = packed struct(u16) { bits: u16 };

const f16_in_hardware = switch (builtin.cpu.arch) {
    .x86_64 => std.Target.x86.featureSetHas(builtin.cpu.features, .f16c),
    .aarch64 => true,
    else => false,
};

/// Vectors of sixteen lanes that fit the registers of this instruction set: what kernels tile by.
pub const registers = switch (builtin.cpu.arch) {
    .x86_64 => if (std.Target.x86.featureSetHas(builtin.cpu.features, .avx512f))
        32
    else if (std.Target.x86.featureSetHas(builtin.cpu.features, .avx)) 8 else 4,
    .aarch64 => 8,
    else => 4,
};

pub inline fn splat(x: f32) F32 {
    return @splat(x);
}

/// Sixteen elements from memory of any alignment, as f32; `T` is f32, f16 or Bf16.
pub inline fn load(comptime T: type, source: [*]align(1) const T) F32 {
    switch (T) {
        f32 => return @as(*align(1) const F32, @ptrCast(source)).*,
        f16 => return fromF16(@as(*align(1) const U16, @ptrCast(source)).*),
        Bf16 => return fromBf16(@as(*align(1) const U16, @ptrCast(source)).*),
        else => @compileError("no lanes of " ++ @typeName(T)),
    }
}

/// The first `count` of sixteen elements; the other lanes are 0.
pub inline fn loadTail(comptime T: type, source: [*]align(1) const T, count: usize) F32 {
    std.debug.assert(count <= width);
    var padded: [width]T align(64) = std.mem.zeroes([width]T);
    for (0..count) |i| padded[i] = source[i];
    return load(T, &padded);
}

/// Sixteen elements to memory of any alignment, rounded half to even.
pub inline fn store(comptime T: type, target: [*]align(1) T, v: F32) void {
    switch (T) {
        f32 => @as(*align(1) F32, @ptrCast(target)).* = v,
        f16 => @as(*align(1) U16, @ptrCast(target)).* = toF16(v),
        Bf16 => @as(*align(1) U16, @ptrCast(target)).* = toBf16(v),
        else => @compileError("no lanes of " ++ @typeName(T)),
    }
}

/// The first `count` lanes; nothing behind them is touched.
pub inline fn storeTail(comptime T: type, target: [*]align(1) T, v: F32, count: usize) void {
    std.debug.assert(count <= width);
    var padded: [width]T align(64) = undefined;
    store(T, &padded, v);
    for (0..count) |i| target[i] = padded[i];
}

/// The next sixteen elements, or all that are `left` with zeros behind them.
pub inline fn loadUpTo(comptime T: type, source: [*]align(1) const T, left: usize) F32 {
    return if (left >= width) load(T, source) else loadTail(T, source, left);
}

/// The next sixteen elements, or as many as are `left`.
pub inline fn storeUpTo(comptime T: type, target: [*]align(1) T, v: F32, left: usize) void {
    if (left >= width) store(T, target, v) else storeTail(T, target, v, left);
}

pub fn toF32(comptime T: type, x: T) f32 {
    return switch (T) {
        f32 => x,
        f16 => fromF16(@splat(@bitCast(x)))[0],
        Bf16 => @bitCast(@as(u32, x.bits) << 16),
        else => @compileError("no f32 of " ++ @typeName(T)),
    };
}

pub fn fromF32(comptime T: type, x: f32) T {
    return switch (T) {
        f32 => x,
        f16 => @bitCast(toF16(@splat(x))[0]),
        Bf16 => .{ .bits = toBf16(@splat(x))[0] },
        else => @compileError("no " ++ @typeName(T) ++ " of f32"),
    };
}

pub inline fn fromBf16(bits: U16) F32 {
    return @bitCast(@as(U32, bits) << @splat(16));
}

pub inline fn toBf16(v: F32) U16 {
    const bits: U32 = @bitCast(v);
    const upper = bits >> @splat(16);
    const even = upper & @as(U32, @splat(1));
    const rounded = (bits +% @as(U32, @splat(0x7fff)) +% even) >> @splat(16);
    const quiet = upper | @as(U32, @splat(0x40));
    return @truncate(@select(u32, v != v, quiet, rounded));
}

pub inline fn fromF16(bits: U16) F32 {
    if (f16_in_hardware) return @floatCast(@as(@Vector(width, f16), @bitCast(bits)));
    return fromF16Software(bits);
}

pub inline fn toF16(v: F32) U16 {
    if (f16_in_hardware) return @bitCast(@as(@Vector(width, f16), @floatCast(v)));
    return toF16Software(v);
}

/// The exponent is moved by a multiplication by 2^112, which also makes subnormals exact.
inline fn fromF16Software(bits: U16) F32 {
    const wide: U32 = bits;
    const sign = (wide & @as(U32, @splat(0x8000))) << @splat(16);
    const magnitude = (wide & @as(U32, @splat(0x7fff))) << @splat(13);
    const moved: U32 = @bitCast(@as(F32, @bitCast(magnitude)) * splat(0x1p112));
    const infinity = magnitude | @as(U32, @splat(0x7f800000));
    const nan = magnitude | @as(U32, @splat(0x7fc00000));
    const f16_infinity: U32 = @splat(0x7c00 << 13);
    const special = @select(u32, magnitude > f16_infinity, nan, infinity);
    return @bitCast(sign | @select(u32, magnitude >= f16_infinity, special, moved));
}

inline fn toF16Software(v: F32) U16 {
    const bits: U32 = @bitCast(v);
    const sign = (bits >> @splat(16)) & @as(U32, @splat(0x8000));
    const magnitude = bits & @as(U32, @splat(0x7fffffff));
    const upper = magnitude >> @splat(13);
    const even = upper & @as(U32, @splat(1));
    const bias: U32 = @splat((127 - 15) << 23);
    const normal = (magnitude -% bias +% @as(U32, @splat(0xfff)) +% even) >> @splat(13);
    // The unit of f16 subnormals is the unit in the last place of 0.5: the addition rounds.
    const half: U32 = @splat(0x3f000000);
    const subnormal = @as(U32, @bitCast(@as(F32, @bitCast(magnitude)) + splat(0.5))) -% half;
    const small = magnitude < @as(U32, @splat(0x38800000));
    const finite = @select(u32, small, subnormal, normal);
    const over = magnitude >= @as(U32, @splat(0x477ff000));
    const bounded = @select(u32, over, @as(U32, @splat(0x7c00)), finite);
    const payload = @as(U32, @splat(0x7e00)) | (upper & @as(U32, @splat(0x3ff)));
    return @truncate(sign | @select(u32, v != v, payload, bounded));
}

/// The sum of the lanes, by the one tree all kernels use.
pub inline fn fold(v: F32) f32 {
    const a = half8(v, lower8) + half8(v, upper8);
    const b = half4(a, lower4) + half4(a, upper4);
    const c = half2(b, lower2) + half2(b, upper2);
    return c[0] + c[1];
}

pub inline fn foldMax(v: F32) f32 {
    const a = max(half8(v, lower8), half8(v, upper8));
    const b = max(half4(a, lower4), half4(a, upper4));
    const c = max(half2(b, lower2), half2(b, upper2));
    return if (c[0] > c[1]) c[0] else c[1];
}

const lower8: @Vector(8, i32) = .{ 0, 1, 2, 3, 4, 5, 6, 7 };
const upper8: @Vector(8, i32) = .{ 8, 9, 10, 11, 12, 13, 14, 15 };
const lower4: @Vector(4, i32) = .{ 0, 1, 2, 3 };
const upper4: @Vector(4, i32) = .{ 4, 5, 6, 7 };
const lower2: @Vector(2, i32) = .{ 0, 1 };
const upper2: @Vector(2, i32) = .{ 2, 3 };

inline fn half8(v: F32, comptime which: @Vector(8, i32)) @Vector(8, f32) {
    return @shuffle(f32, v, undefined, which);
}

inline fn half4(v: @Vector(8, f32), comptime which: @Vector(4, i32)) @Vector(4, f32) {
    return @shuffle(f32, v, undefined, which);
}

inline fn half2(v: @Vector(4, f32), comptime which: @Vector(2, i32)) @Vector(2, f32) {
    return @shuffle(f32, v, undefined, which);
}

/// The larger of each lane; `b` where they do not compare, on every instruction set.
pub inline fn max(a: anytype, b: @TypeOf(a)) @TypeOf(a) {
    return @select(f32, a > b, a, b);
}

/// The smaller of each lane; `b` where they do not compare.
pub inline fn min(a: anytype, b: @TypeOf(a)) @TypeOf(a) {
    return @select(f32, a < b, a, b);
}

/// Adds `a * b` to each lane, rounding twice.
pub inline fn addProduct(sum: F32, a: F32, b: F32) F32 {
    return sum + a * b;
}

/// Sum over i of x[i] * w[i] in the common order.
pub inline fn dot(
    comptime T: type,
    x: [*]align(1) const f32,
    w: [*]align(1) const T,
    count: usize,
) f32 {
    var sum = zero;
    var i: usize = 0;
    while (i + width <= count) : (i += width) {
        sum = addProduct(sum, load(f32, x + i), load(T, w + i));
    }
    if (i < count) {
        sum = addProduct(sum, loadTail(f32, x + i, count - i), loadTail(T, w + i, count - i));
    }
    return fold(sum);
}

/// 1.5 * 2^23: adding it leaves the rounded integer in the low bits.
const round_magic: f32 = 0x1.8p23;

/// Round half to even, for |x| <= 2^22.
pub inline fn roundEven(v: F32) I32 {
    const bits: I32 = @bitCast(v + splat(round_magic));
    return bits -% @as(I32, @splat(@as(i32, @bitCast(round_magic))));
}

/// Round half to even into [low, high], both within 2^22; what is not a number becomes `low`.
pub inline fn roundClip(v: F32, low: f32, high: f32) I32 {
    return roundEven(min(max(v, splat(low)), splat(high)));
}

const exp_low: f32 = -87.33654;
const exp_high: f32 = 88.72283;
const log2_e: f32 = 1.4426950408889634;
/// ln 2 in two parts; n * upper is exact.
const ln2_upper: f32 = 0.693359375;
const ln2_lower: f32 = -2.12194440e-4;
/// (e^r - 1 - r) / r^2, minimax, lowest power first.
/// Source: Cephes single precision exponential (netlib.org/cephes), constants only.
const exp_terms = [_]f32{
    5.0000001201e-1,
    1.6666665459e-1,
    4.1665795894e-2,
    8.3334519073e-3,
    1.3981999507e-3,
    1.9875691500e-4,
};

/// e^x within 2 units in the last place; 0 below -87.33654, infinity above 88.72283.
pub inline fn exp(x: F32) F32 {
    const inside = min(max(x, splat(exp_low)), splat(exp_high));
    const shifted = inside * splat(log2_e) + splat(round_magic);
    const n = shifted - splat(round_magic);
    const r = (inside - n * splat(ln2_upper)) - n * splat(ln2_lower);
    var p = splat(exp_terms[exp_terms.len - 1]);
    comptime var term = exp_terms.len - 1;
    inline while (term > 0) {
        term -= 1;
        p = p * r + splat(exp_terms[term]);
    }
    const y = (p * (r * r) + r) + splat(1);
    // The bits of the magic addend are shifted out; n reaches the exponent.
    const exponent = @as(I32, @bitCast(shifted)) << @splat(23);
    const scaled: F32 = @bitCast(@as(I32, @bitCast(y)) +% exponent);
    const bounded = @select(f32, x > splat(exp_high), splat(std.math.inf(f32)), scaled);
    const flushed = @select(f32, x < splat(exp_low), zero, bounded);
    return @select(f32, x != x, x, flushed);
}

test "exp: within 2 units in the last place of f64 between -87 and 88, with its limits" {
    var worst: f64 = 0;
    var x: f32 = -87;
    while (x <= 88) : (x += 0.00137) {
        const got: f64 = exp(splat(x))[7];
        const want = @exp(@as(f64, x));
        const unit = std.math.ldexp(@as(f64, 1), std.math.frexp(want).exponent - 24);
        worst = @max(worst, @abs(got - want) / unit);
    }
    try std.testing.expect(worst < 2);
    try std.testing.expectEqual(@as(f32, 0), exp(splat(-87.4))[0]);
    try std.testing.expectEqual(@as(f32, 0), exp(splat(-std.math.inf(f32)))[0]);
    try std.testing.expectEqual(@as(f32, 1), exp(splat(0))[0]);
    try std.testing.expect(std.math.isInf(exp(splat(89))[0]));
    try std.testing.expect(std.math.isFinite(exp(splat(88.7228))[0]));
    try std.testing.expect(std.math.isNan(exp(splat(std.math.nan(f32)))[0]));
}

test "f16: every value converts exactly and back, in software as in the compiler's own" {
    for (0..0x10000) |i| {
        const bits: u16 = @intCast(i);
        const want: f32 = @as(f16, @bitCast(bits));
        const software = fromF16Software(@splat(bits))[3];
        if (std.math.isNan(want)) {
            try std.testing.expect(std.math.isNan(software));
            try std.testing.expectEqual(bits | 0x200, toF16Software(splat(software))[3]);
            try std.testing.expectEqual(bits | 0x200, toF16(splat(software))[3]);
            continue;
        }
        try std.testing.expectEqual(@as(u32, @bitCast(want)), @as(u32, @bitCast(software)));
        try std.testing.expectEqual(want, fromF16(@splat(bits))[5]);
        try std.testing.expectEqual(bits, toF16Software(splat(want))[5]);
        try std.testing.expectEqual(bits, toF16(splat(want))[5]);
    }
}

test "f16 and bf16: f32 rounds half to even" {
    var bits: u64 = 0;
    while (bits <= 0xffff_ffff) : (bits += 0x1ff1) {
        const x: f32 = @bitCast(@as(u32, @intCast(bits)));
        if (std.math.isNan(x)) continue;
        const want: u16 = @bitCast(@as(f16, @floatCast(x)));
        try std.testing.expectEqual(want, toF16Software(splat(x))[0]);
        try std.testing.expectEqual(want, toF16(splat(x))[0]);
    }
    for ([_][2]u32{
        .{ 0x3f808000, 0x3f80 },
        .{ 0x3f818000, 0x3f82 },
        .{ 0x3f808001, 0x3f81 },
        .{ 0x7f7fffff, 0x7f80 },
        .{ 0xff800000, 0xff80 },
        .{ 0x7f800001, 0x7fc0 },
    }) |pair| {
        const got = toBf16(splat(@bitCast(pair[0])))[0];
        try std.testing.expectEqual(@as(u16, @intCast(pair[1])), got);
    }
}

test "f16 ties: the midpoint between neighbours goes to the even one" {
    for (0..0x7bff) |i| {
        const low: f32 = @as(f16, @bitCast(@as(u16, @intCast(i))));
        const high: f32 = @as(f16, @bitCast(@as(u16, @intCast(i + 1))));
        const even: u16 = @intCast(if (i & 1 == 0) i else i + 1);
        try std.testing.expectEqual(even, toF16Software(splat((low + high) / 2))[0]);
        try std.testing.expectEqual(even, toF16(splat((low + high) / 2))[0]);
    }
}

test "roundClip: half to even, clipped, and what is not a number becomes the lower bound" {
    const x: F32 = .{
        0.5,    1.5,    2.5, -0.5, -1.5,       -2.5, 126.5, 127.5,
        -127.5, -128.5, 1e9, -1e9, 0.49999997, 3,    -3,    0,
    };
    const want: I32 = .{ 0, 2, 2, 0, -2, -2, 126, 127, -128, -128, 127, -128, 0, 3, -3, 0 };
    try std.testing.expectEqual(want, roundClip(x, -128, 127));
    try std.testing.expectEqual(@as(i32, -128), roundClip(splat(std.math.nan(f32)), -128, 127)[0]);
}

test "fold: adds halves, and tails are padded with zeros" {
    const x = [_]f32{ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
    try std.testing.expectEqual(@as(f32, 136), fold(load(f32, &x)));
    try std.testing.expectEqual(@as(f32, 16), foldMax(load(f32, &x)));
    try std.testing.expectEqual(@as(f32, 6), fold(loadTail(f32, &x, 3)));
    try std.testing.expectEqual(@as(f32, 1785), dot(f32, &x, &x, x.len));
}
