//! Sums and updates of vectors of adjacent elements, for the decompositions: sixteen lanes in a
//! fixed order, fused multiply-add where the level has it. And the Householder reflector
//! H = I - tau v v', which turns a vector into a multiple of the first unit vector.

const std = @import("std");
const gemm = @import("../kernels/gemm.zig");

const width = 16;

pub fn Vectors(comptime T: type) type {
    return struct {
        pub const V = @Vector(width, T);

        pub inline fn load(x: [*]const T) V {
            return @as(*align(@alignOf(T)) const V, @ptrCast(x)).*;
        }

        pub inline fn store(x: [*]T, v: V) void {
            @as(*align(@alignOf(T)) V, @ptrCast(x)).* = v;
        }

        pub inline fn fma(a: V, b: V, c: V) V {
            return gemm.fma(V, a, b, c);
        }

        pub fn dot(x: []const T, y: [*]const T) T {
            var sums: [4]V = @splat(@splat(0));
            var i: usize = 0;
            while (i + 4 * width <= x.len) : (i += 4 * width) {
                inline for (&sums, 0..) |*sum, part| {
                    const at = i + part * width;
                    sum.* = fma(load(x.ptr + at), load(y + at), sum.*);
                }
            }
            while (i + width <= x.len) : (i += width) {
                sums[0] = fma(load(x.ptr + i), load(y + i), sums[0]);
            }
            var total = @reduce(.Add, (sums[0] + sums[1]) + (sums[2] + sums[3]));
            while (i < x.len) : (i += 1) total = gemm.fma(T, x[i], y[i], total);
            return total;
        }

        /// y += alpha * x
        pub fn addScaled(y: []T, alpha: T, x: [*]const T) void {
            const factor: V = @splat(alpha);
            var i: usize = 0;
            while (i + width <= y.len) : (i += width) {
                store(y.ptr + i, fma(factor, load(x + i), load(y.ptr + i)));
            }
            while (i < y.len) : (i += 1) y[i] = gemm.fma(T, alpha, x[i], y[i]);
        }

        pub fn scale(x: []T, factor: T) void {
            for (x) |*value| value.* *= factor;
        }

        pub fn largest(x: []const T) T {
            var result: T = 0;
            for (x) |value| result = @max(result, @abs(value));
            return result;
        }

        /// The Euclidean norm, without overflow or harmful underflow.
        pub fn norm(x: []const T) T {
            const direct = dot(x, x.ptr);
            if (direct > small and direct < large) return @sqrt(direct);
            const most = largest(x);
            if (most == 0 or !std.math.isFinite(most)) return most;
            var sum: T = 0;
            for (x) |value| sum += (value / most) * (value / most);
            return most * @sqrt(sum);
        }

        const small = std.math.floatMin(T) / (std.math.floatEps(T) * std.math.floatEps(T));
        const large = 1 / small;

        /// Below it nothing is left to reflect: its inverse would overflow.
        const negligible = 4 * std.math.floatMin(T);

        pub const Reflector = struct { beta: T, tau: T };

        /// x becomes v with v[0] = 1, so that (I - tau v v') x was beta e1; tau is 0 where x has
        /// that form already.
        pub fn reflector(x: []T) Reflector {
            const alpha = x[0];
            const rest = norm(x[1..]);
            x[0] = 1;
            if (rest <= negligible) {
                @memset(x[1..], 0);
                return .{ .beta = alpha, .tau = 0 };
            }
            const most = @max(@abs(alpha), rest);
            const a = alpha / most;
            const b = rest / most;
            const length = most * @sqrt(a * a + b * b);
            const beta = if (alpha < 0) length else -length;
            scale(x[1..], 1 / (alpha - beta));
            return .{ .beta = beta, .tau = (beta - alpha) / beta };
        }

        pub const Rotation = struct { c: T, s: T, r: T };

        /// c f + s g = r and c g - s f = 0, with c^2 + s^2 = 1.
        pub inline fn rotation(f: T, g: T) Rotation {
            if (g == 0) return .{ .c = 1, .s = 0, .r = f };
            if (f == 0) return .{ .c = 0, .s = 1, .r = g };
            const square = f * f + g * g;
            if (square > small and square < large) {
                const root = @sqrt(square);
                const inverse = 1 / root;
                return .{ .c = f * inverse, .s = g * inverse, .r = root };
            }
            const most = @max(@abs(f), @abs(g));
            const a = f / most;
            const b = g / most;
            const length = @sqrt(a * a + b * b);
            return .{ .c = a / length, .s = b / length, .r = most * length };
        }
    };
}

/// A power of two that brings the largest element near 1 where it is far away; 1 otherwise.
pub fn scaleOf(comptime T: type, largest: T) T {
    const near: T = if (T == f32) 1e9 else 1e80;
    if (largest == 0 or (largest < near and largest > 1 / near)) return 1;
    return std.math.ldexp(@as(T, 1), -std.math.frexp(largest).exponent);
}

test "reflector: gives a unit vector's multiple, for large and tiny elements alike" {
    const Math = Vectors(f64);
    for ([_]f64{ 1, 1e200, 1e-200 }) |size| {
        var x = [_]f64{ 3 * size, -4 * size, 12 * size };
        const before = x;
        const made = Math.reflector(&x);
        try std.testing.expectApproxEqRel(-13 * size, made.beta, 1e-14);
        const along = made.tau * Math.dot(&x, &before);
        for (before, x, 0..) |was, v, i| {
            const want = if (i == 0) made.beta else 0;
            try std.testing.expectApproxEqAbs(want, was - along * v, 1e-14 * size);
        }
    }
}

test "norm: neither overflows nor vanishes" {
    const Math = Vectors(f32);
    try std.testing.expectApproxEqRel(@as(f32, 5e30), Math.norm(&.{ 3e30, 4e30 }), 1e-6);
    try std.testing.expectApproxEqRel(@as(f32, 5e-30), Math.norm(&.{ 3e-30, 4e-30 }), 1e-6);
    try std.testing.expectEqual(@as(f32, 0), Math.norm(&.{ 0, 0 }));
}
