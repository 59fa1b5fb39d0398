//! Mathematical functions on sixteen f64 lanes at a time, without calls out, so that every level
//! gives the same bits: argument reduction, then a polynomial. Errors stay below two units in the
//! last place of the result, for `power` below |y ln x| units; the tests hold them to it.

const std = @import("std");

pub const width = 16;
pub const F64 = @Vector(width, f64);
const U64 = @Vector(width, u64);

const inf = std.math.inf(f64);
const nan = std.math.nan(f64);
/// 1.5 * 2^52: adding it leaves the rounded integer in the low bits.
pub const round_magic: f64 = 0x1.8p52;
const sign_bit: u64 = 1 << 63;

pub inline fn splat(x: f64) F64 {
    return @splat(x);
}

inline fn bits(x: F64) U64 {
    return @bitCast(x);
}

inline fn select(which: @Vector(width, bool), a: F64, b: F64) F64 {
    return @select(f64, which, a, b);
}

inline fn copySign(x: F64, sign: F64) F64 {
    const mask: U64 = @splat(sign_bit);
    return @bitCast((bits(x) & ~mask) | (bits(sign) & mask));
}

/// c[0] + c[1] x + c[2] x^2 + ...
inline fn polynomial(comptime c: []const f64, x: F64) F64 {
    var sum = splat(c[c.len - 1]);
    comptime var k = c.len - 1;
    inline while (k > 0) {
        k -= 1;
        sum = sum * x + splat(c[k]);
    }
    return sum;
}

// e^x = 2^n e^r with n = round(x / ln 2).

const log2_e: f64 = 1.0 / std.math.ln2;
/// ln 2 in two parts; a multiple of the first below 2^20 is exact.
/// Source: netlib.org/fdlibm, e_exp.c, constants only.
const ln2_upper: f64 = 6.93147180369123816490e-01;
const ln2_lower: f64 = 1.90821492927058770002e-10;
const exp_high: f64 = 709.782712893384;
const exp_low: f64 = -745.1332191019412;

/// (e^r - 1 - r) / r^2 in powers of r: 1/2!, 1/3!, ...
const exp_terms = blk: {
    var terms: [13]f64 = undefined;
    var factorial: comptime_float = 2;
    for (&terms, 0..) |*term, k| {
        term.* = 1.0 / factorial;
        factorial *= k + 3;
    }
    break :blk terms;
};

const Reduced = struct { n: F64, minus_one: F64 };

/// n and e^r - 1.
inline fn reduceExp(x: F64) Reduced {
    const shifted = x * splat(log2_e) + splat(round_magic);
    const n = shifted - splat(round_magic);
    const r = (x - n * splat(ln2_upper)) - n * splat(ln2_lower);
    return .{ .n = n, .minus_one = r * r * polynomial(&exp_terms, r) + r };
}

/// 2^n for whole n from -1022 to 1023.
inline fn powerOfTwo(n: F64) F64 {
    const whole = bits(n + splat(round_magic)) +% @as(U64, @splat(1023));
    return @bitCast(whole << @splat(52));
}

pub noinline fn exp(x: F64) F64 {
    const inside = @min(@max(x, splat(exp_low)), splat(exp_high));
    const reduced = reduceExp(inside);
    // In two steps, so that subnormal results are rounded once.
    const half = @floor(reduced.n * splat(0.5));
    const scaled = (reduced.minus_one + splat(1)) * powerOfTwo(half);
    const y = scaled * powerOfTwo(reduced.n - half);
    const bounded = select(x > splat(exp_high), splat(inf), y);
    return select(x != x, x, select(x < splat(exp_low), splat(0), bounded));
}

/// e^x - 1 for x from -37 to 700, exact near 0.
inline fn expMinusOne(x: F64) F64 {
    const reduced = reduceExp(x);
    const scale = powerOfTwo(reduced.n);
    return reduced.minus_one * scale + (scale - splat(1));
}

// ln x = n ln 2 + ln m with m from sqrt(1/2) to sqrt(2), and with s = (m - 1) / (m + 1)
// ln m = 2 (s + s^3/3 + s^5/5 + ...).

const log_terms = blk: {
    var terms: [11]f64 = undefined;
    for (&terms, 0..) |*term, k| term.* = 2.0 / @as(comptime_float, 2 * k + 3);
    break :blk terms;
};

pub noinline fn log(x: F64) F64 {
    const tiny = x < splat(0x1p-1022);
    const normal = select(tiny, x * splat(0x1p54), x);
    const root_half: U64 = @splat(0x3fe6a09e667f3bcd);
    const exponent = ((bits(normal) -% root_half) >> @splat(52)) << @splat(52);
    const m: F64 = @bitCast(bits(normal) -% exponent);
    const n = exponentOf(exponent) - select(tiny, splat(54), splat(0));
    const f = m - splat(1);
    const s = f / (splat(2) + f);
    const z = s * s;
    // ln m = f - s (f - z P), with less rounding than 2 s alone.
    const near = f - s * (f - z * polynomial(&log_terms, z));
    const y = n * splat(ln2_upper) + (near + n * splat(ln2_lower));
    const positive = select(x == splat(inf), x, select(x == splat(0), splat(-inf), y));
    return select(x != x, x, select(x < splat(0), splat(nan), positive));
}

/// A signed exponent that stands in the upper twelve bits, as a number.
inline fn exponentOf(exponent: U64) F64 {
    const signed: @Vector(width, i64) = @bitCast(exponent);
    const shifted = signed >> @splat(52);
    const whole: U64 = @bitCast(shifted +% @as(@Vector(width, i64), @splat(0x4338000000000000)));
    return @as(F64, @bitCast(whole)) - splat(round_magic);
}

/// x^y; of a negative x for whole y only.
pub noinline fn power(x: F64, y: F64) F64 {
    const magnitude = exp(y * log(@abs(x)));
    const whole = @floor(y) == y;
    const odd = @floor(y * splat(0.5)) * splat(2) != y;
    const negative = x < splat(0);
    const signed = select(negative, select(odd, -magnitude, magnitude), magnitude);
    // Of a negative number with a fraction there is none, but of infinity there is.
    const broken = select(whole, signed, select(@abs(x) == splat(inf), magnitude, splat(nan)));
    const defined = select(negative, broken, signed);
    const kept = select(@abs(y) == splat(inf), magnitude, defined);
    const of_minus_one = select(@abs(y) == splat(inf), splat(1), kept);
    const unless_minus_one = select(x == splat(-1), of_minus_one, kept);
    return select(x == splat(1), splat(1), select(y == splat(0), splat(1), unless_minus_one));
}

// sin and cos: the angle less a multiple of pi / 2, Taylor series on +- pi / 4.

pub const two_over_pi: f64 = 2.0 / std.math.pi;
/// pi / 2 in three parts; multiples of the first two below 2^20 are exact.
/// Source: netlib.org/fdlibm, e_rem_pio2.c, constants only.
const half_pi_1: f64 = 1.57079632673412561417e+00;
const half_pi_2: f64 = 6.07710050630396597660e-11;
const half_pi_3: f64 = 2.02226624879595063154e-21;
/// Beyond, lanes go one by one through the exact reduction of the language's own functions.
const angle_max: f64 = 1 << 20;

const sin_terms = reciprocals(10, 1);
const cos_terms = reciprocals(10, 0);

/// 1 / first!, -1 / (first + 2)!, ...: Taylor terms of sine (1) and cosine (0).
pub fn reciprocals(comptime count: usize, comptime first: comptime_int) [count]f64 {
    var terms: [count]f64 = undefined;
    var factorial: comptime_float = 1;
    for (&terms, 0..) |*term, k| {
        term.* = (if (k % 2 == 0) 1.0 else -1.0) / factorial;
        factorial *= (2 * k + first + 1) * (2 * k + first + 2);
    }
    return terms;
}

pub const SinCos = struct { sin: F64, cos: F64 };

inline fn sinCos(x: F64) SinCos {
    const shifted = x * splat(two_over_pi) + splat(round_magic);
    const n = shifted - splat(round_magic);
    const r = ((x - n * splat(half_pi_1)) - n * splat(half_pi_2)) - n * splat(half_pi_3);
    return sinCosNear(&sin_terms, &cos_terms, r, shifted);
}

/// Of the angle r + n pi / 2, |r| <= pi / 4: `shifted` is n + `round_magic`, the terms are those of
/// (sin r) / r and cos r in powers of r^2.
pub inline fn sinCosNear(
    comptime of_sin: []const f64,
    comptime of_cos: []const f64,
    r: F64,
    shifted: F64,
) SinCos {
    const square = r * r;
    const near_sin = r * polynomial(of_sin, square);
    const near_cos = polynomial(of_cos, square);
    const quadrant = bits(shifted);
    const one: U64 = @splat(1);
    const odd = (quadrant & one) == one;
    const sin_sign = (quadrant >> @splat(1)) << @splat(63);
    const cos_sign = ((quadrant +% one) >> @splat(1)) << @splat(63);
    return .{
        .sin = flip(select(odd, near_cos, near_sin), sin_sign),
        .cos = flip(select(odd, near_sin, near_cos), cos_sign),
    };
}

inline fn flip(x: F64, sign: U64) F64 {
    return @bitCast(bits(x) ^ sign);
}

pub noinline fn sin(x: F64) F64 {
    if (isFar(x)) return lanewise(.sin, x);
    return select(x == splat(0), x, sinCos(x).sin);
}

pub noinline fn cos(x: F64) F64 {
    if (isFar(x)) return lanewise(.cos, x);
    return sinCos(x).cos;
}

pub noinline fn tan(x: F64) F64 {
    if (isFar(x)) return lanewise(.sin, x) / lanewise(.cos, x);
    const both = sinCos(x);
    return select(x == splat(0), x, both.sin / both.cos);
}

inline fn isFar(x: F64) bool {
    return !@reduce(.And, @abs(x) < splat(angle_max));
}

noinline fn lanewise(comptime which: enum { sin, cos }, x: F64) F64 {
    var y: [width]f64 = undefined;
    for (&y, @as([width]f64, x)) |*to, from| {
        to.* = if (!std.math.isFinite(from)) nan else if (which == .sin) @sin(from) else @cos(from);
    }
    return y;
}

// atan: the series on +- tan(pi / 8), reached by pi/2 - atan(1/x) and pi/4 + atan((t-1)/(t+1)).

const atan_terms = blk: {
    var terms: [23]f64 = undefined;
    for (&terms, 0..) |*term, k| {
        term.* = (if (k % 2 == 0) 1.0 else -1.0) / @as(comptime_float, 2 * k + 1);
    }
    break :blk terms;
};
const tan_eighth_pi: f64 = 0.41421356237309503;
const quarter_pi: f64 = std.math.pi / 4.0;
const half_pi: f64 = std.math.pi / 2.0;
const half_pi_rest: f64 = 6.123233995736766e-17;

pub noinline fn atan(x: F64) F64 {
    const a = @abs(x);
    const large = a > splat(1);
    const t = select(large, splat(1) / a, a);
    const middle = t > splat(tan_eighth_pi);
    const u = select(middle, (t - splat(1)) / (t + splat(1)), t);
    const series = u * polynomial(&atan_terms, u * u);
    const y = select(middle, splat(quarter_pi) + (series + splat(half_pi_rest / 2)), series);
    const full = select(large, splat(half_pi) - (y - splat(half_pi_rest)), y);
    return select(x != x, x, copySign(full, x));
}

pub noinline fn asin(x: F64) F64 {
    const root = @sqrt((splat(1) - x) * (splat(1) + x));
    return splat(2) * atan(x / (splat(1) + root));
}

pub noinline fn acos(x: F64) F64 {
    const y = splat(2) * atan(@sqrt((splat(1) - x) / (splat(1) + x)));
    return select(x == splat(-1), splat(std.math.pi), y);
}

pub noinline fn tanh(x: F64) F64 {
    const doubled = @min(@abs(x), splat(20)) * splat(2);
    const e = expMinusOne(doubled);
    return select(x != x, x, copySign(e / (e + splat(2)), x));
}

pub noinline fn sigmoid(x: F64) F64 {
    return splat(1) / (splat(1) + exp(-x));
}

// erf: the Taylor series below 0.75; above, 1 - e^(-x^2) g(x), g fitted in (x - 2.5) / (x + 2.5).

const erf_terms = blk: {
    var terms: [19]f64 = undefined;
    var factorial: comptime_float = 1;
    for (&terms, 0..) |*term, k| {
        const sign = if (k % 2 == 0) 1.0 else -1.0;
        term.* = sign * 2 / @sqrt(std.math.pi) / (factorial * @as(comptime_float, 2 * k + 1));
        factorial *= k + 1;
    }
    break :blk terms;
};

/// e^(x^2) erfc(x) for x from 0.75 to 6.5, relative error below 2e-20: our own Chebyshev fit, made
/// with mpmath at 40 digits.
const erfc_terms = [_]f64{
    0.21080636406114358065,     -0.37173673394897335345,     0.25171319321744924795,
    -0.12503305237882900341,    0.03992253907559350024,      -0.0039937011658829066204,
    -0.0026423659648131463266,  0.00087591545098456234949,   0.00022838039418292788045,
    -0.00012887718605388556914, -0.000034182492675154662573, 0.000018614585119779127723,
    7.5550897369009938228e-6,   -2.2985092840233124979e-6,   -1.8162805054640539608e-6,
    7.6199935008353386955e-8,   3.8828835556555552115e-7,    8.3985317102313210062e-8,
    -5.6820861635708430392e-8,  -2.8992495068456953586e-8,
};

pub noinline fn erf(x: F64) F64 {
    const a = @abs(x);
    const inside = @min(a, splat(6.5));
    const near = x * polynomial(&erf_terms, x * x);
    const t = (inside - splat(2.5)) / (inside + splat(2.5));
    const far = splat(1) - exp(-(inside * inside)) * polynomial(&erfc_terms, t);
    const y = select(a < splat(0.75), near, copySign(far, x));
    return select(x != x, x, y);
}

fn expectNear(comptime of: anytype, truth: anytype, range: [2]f64, units: f64) !void {
    var random = std.Random.DefaultPrng.init(7);
    for (0..20000) |_| {
        const x = range[0] + (range[1] - range[0]) * random.random().float(f64);
        const got = of(splat(x))[3];
        const want: f64 = truth(x);
        const unit = @max(std.math.floatMin(f64), @abs(want)) * 0x1p-52;
        if (@abs(got - want) > units * unit) {
            std.debug.print("{d}: {d}, want {d}\n", .{ x, got, want });
            return error.TestUnexpectedResult;
        }
    }
}

const reference = struct {
    fn exp(x: f64) f64 {
        return @exp(x);
    }
    fn log(x: f64) f64 {
        return @log(x);
    }
    fn sin(x: f64) f64 {
        return @sin(x);
    }
    fn cos(x: f64) f64 {
        return @cos(x);
    }
    fn sigmoid(x: f64) f64 {
        return 1 / (1 + @exp(-x));
    }
};

test "functions: within two units of the last place of the standard library's" {
    try expectNear(exp, reference.exp, .{ -700, 700 }, 2);
    try expectNear(log, reference.log, .{ 1e-300, 1e-290 }, 2);
    try expectNear(log, reference.log, .{ 0.5, 2 }, 2);
    try expectNear(log, reference.log, .{ 2, 1e9 }, 2);
    try expectNear(sin, reference.sin, .{ -3, 3 }, 2);
    try expectNear(cos, reference.cos, .{ -1.5, 1.5 }, 2);
    try expectNear(sin, reference.sin, .{ 1e9, 1e12 }, 0);
    try expectNear(atan, std.math.atan, .{ -10, 10 }, 2);
    try expectNear(atan, std.math.atan, .{ -1, 1 }, 2);
    try expectNear(asin, std.math.asin, .{ -1, 1 }, 3);
    try expectNear(acos, std.math.acos, .{ -1, 1 }, 3);
    try expectNear(tanh, std.math.tanh, .{ -3, 3 }, 3);
    try expectNear(sigmoid, reference.sigmoid, .{ -30, 30 }, 3);
}

test "functions: limits, zeros and what is not a number" {
    const nans = [_]f64{
        exp(splat(nan))[0],
        log(splat(-1))[0],
        sin(splat(inf))[0],
        erf(splat(nan))[0],
    };
    for (nans) |got| try std.testing.expect(std.math.isNan(got));
    try std.testing.expectEqual(inf, exp(splat(710))[0]);
    try std.testing.expectEqual(@as(f64, 0), exp(splat(-746))[0]);
    try std.testing.expectEqual(@exp(@as(f64, -740)), exp(splat(-740))[0]);
    try std.testing.expectEqual(-inf, log(splat(0))[0]);
    try std.testing.expectEqual(inf, log(splat(inf))[0]);
    try std.testing.expectApproxEqRel(@as(f64, -744.4400719213812), log(splat(5e-324))[0], 1e-15);
    try std.testing.expectEqual(@as(f64, 1), tanh(splat(50))[0]);
    try std.testing.expectEqual(@as(f64, -1), erf(splat(-7))[0]);
    try std.testing.expectEqual(half_pi, atan(splat(inf))[0]);
    try std.testing.expectEqual(@as(f64, 0), acos(splat(1))[0]);
    try std.testing.expectEqual(@as(f64, std.math.pi), acos(splat(-1))[0]);
}

test "erf: values from tables, both sides of the seam" {
    // Source: Abramowitz and Stegun, table 7.1, and mpmath for the others.
    const pairs = [_][2]f64{
        .{ 0.1, 0.11246291601828489 }, .{ 0.5, 0.5204998778130465 },
        .{ 0.74, 0.7046780778547458 }, .{ 0.76, 0.7175367528055908 },
        .{ 1.0, 0.8427007929497149 },  .{ 2.0, 0.9953222650189527 },
        .{ 3.0, 0.9999779095030014 },
    };
    for (pairs) |pair| {
        try std.testing.expectApproxEqRel(pair[1], erf(splat(pair[0]))[5], 1e-15);
        try std.testing.expectEqual(-erf(splat(pair[0]))[5], erf(splat(-pair[0]))[5]);
    }
}

test "power: signs, zeros, infinities as IEEE 754 has them" {
    const cases = [_][3]f64{
        .{ 2, 10, 1024 },   .{ -2, 3, -8 },  .{ -2, 2, 4 },           .{ 9, 0.5, 3 },
        .{ 0, 0, 1 },       .{ 0, 2, 0 },    .{ 0, -1, inf },         .{ nan, 0, 1 },
        .{ 1, nan, 1 },     .{ -1, inf, 1 }, .{ 2, inf, inf },        .{ 2, -inf, 0 },
        .{ -inf, 3, -inf }, .{ inf, -1, 0 }, .{ -8, 1.0 / 3.0, nan }, .{ -inf, 0.5, inf },
        .{ -1, 3, -1 },
    };
    for (cases) |case| {
        const got = power(splat(case[0]), splat(case[1]))[2];
        if (std.math.isNan(case[2])) {
            try std.testing.expect(std.math.isNan(got));
        } else if (std.math.isFinite(case[2])) {
            try std.testing.expectApproxEqRel(case[2], got, 1e-14);
        } else try std.testing.expectEqual(case[2], got);
    }
}
