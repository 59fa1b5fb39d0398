//! Singular values of an upper bidiagonal matrix by implicitly shifted QR steps, and the reduction
//! of A (m, n), m >= n, to one: A = Q B P'.
//!
//! The reduction passes over A twice a column: once for the row of products with a reflector from
//! the left, once to take both that reflector and the one from the right.
//! Source: Demmel and Kahan, Accurate singular values of bidiagonal matrices (1990).

const std = @import("std");
const deflate = @import("deflate.zig").deflate;
const gemm = @import("../kernels/gemm.zig");
const Gemv = @import("../kernels/gemv.zig").Gemv;
const Rotations = @import("rotations.zig").Rotations;
const Vectors = @import("vectors.zig").Vectors;

pub fn Bidiagonal(comptime T: type) type {
    return struct {
        const Math = Vectors(T);
        const eps = std.math.floatEps(T);

        /// What `reduce` leaves: diagonals and the reflectors of Q and P, a row each. Reflector k
        /// of P begins at column k + 1.
        pub const Reduced = struct {
            d: []T, // (n)
            e: []T, // (n), the last unused
            left: []T, // (n, m)
            left_tau: []T, // (n)
            right: []T, // (n, n)
            right_tau: []T, // (n)
        };

        /// `a` (m, n) by rows is used up; `products` has room for n elements.
        pub fn reduce(a: []T, m: usize, to: Reduced, products: []T) void {
            const n = to.d.len;
            for (0..n) |k| {
                const v = to.left[k * m ..][0..m];
                @memset(v[0..k], 0);
                for (k..m) |i| v[i] = a[i * n + k];
                const made = Math.reflector(v[k..]);
                to.d[k] = made.beta;
                to.left_tau[k] = made.tau;
                const u = to.right[k * n ..][0..n];
                @memset(u[0 .. k + 1], 0);
                if (k + 1 == n) {
                    to.e[k] = 0;
                    to.right_tau[k] = 0;
                    break;
                }
                const rest = n - k - 1;
                const y = products[0..rest];
                Gemv(T).multiply(T, .{
                    .m = rest,
                    .k = m - k,
                    .a = gemm.Matrix(T).rowMajor(a.ptr + k * n + k + 1, n).transposed(),
                    .x = v.ptr + k,
                    .y = y.ptr,
                });
                Math.scale(y, made.tau);
                const row = a[k * n + k + 1 ..][0..rest];
                for (u[k + 1 ..], row, y) |*x, old, product| x.* = old - product;
                const across = Math.reflector(u[k + 1 ..]);
                to.e[k] = across.beta;
                to.right_tau[k] = across.tau;
                for (k + 1..m) |i| {
                    const own = a[i * n + k + 1 ..][0..rest];
                    update(own, .{ .v = -v[i], .y = y.ptr, .u = u.ptr + k + 1 }, across.tau);
                }
            }
        }

        const Factors = struct { v: T, y: [*]const T, u: [*]const T };

        /// row += v y, then row -= tau (row . u) u.
        inline fn update(row: []T, by: Factors, tau: T) void {
            const factor: Math.V = @splat(by.v);
            var sums: [2]Math.V = @splat(@splat(0));
            var j: usize = 0;
            while (j + 32 <= row.len) : (j += 32) {
                inline for (&sums, 0..) |*sum, part| {
                    const at = j + 16 * part;
                    const x = Math.fma(factor, Math.load(by.y + at), Math.load(row.ptr + at));
                    Math.store(row.ptr + at, x);
                    sum.* = Math.fma(x, Math.load(by.u + at), sum.*);
                }
            }
            var along = @reduce(.Add, sums[0] + sums[1]);
            while (j < row.len) : (j += 1) {
                row[j] = gemm.fma(T, by.v, by.y[j], row[j]);
                along = gemm.fma(T, row[j], by.u[j], along);
            }
            Math.addScaled(row, -tau * along, by.u);
        }

        /// d becomes the singular values, not sorted, some perhaps negative; false when a step
        /// limit was reached. Rotations of rows of U' and V' go to `left` and `right`.
        pub fn diagonalize(d: []T, e: []T, left: *Rotations(T), right: *Rotations(T)) bool {
            const n = d.len;
            if (n == 0) return true;
            const limit = eps * @max(Math.largest(d), Math.largest(e[0 .. n - 1]));
            for (d) |*x| if (@abs(x.*) <= limit) {
                x.* = 0;
            };
            const steps: Steps = .{ .d = d, .e = e, .limit = limit, .left = left, .right = right };
            if (!deflate(T, e, steps)) return false;
            left.flush();
            right.flush();
            return true;
        }

        const Steps = struct {
            d: []T,
            e: []T,
            limit: T,
            left: *Rotations(T),
            right: *Rotations(T),

            pub fn negligible(of: Steps, at: usize) bool {
                const size = @abs(of.e[at]);
                return size <= of.limit or size <= eps * (@abs(of.d[at]) + @abs(of.d[at + 1]));
            }

            pub fn take(of: Steps, low: usize, high: usize) void {
                step(of.d, of.e, .{ low, high }, of.left, of.right);
            }
        };

        fn step(
            d: []T,
            e: []T,
            range: [2]usize,
            left: *Rotations(T),
            right: *Rotations(T),
        ) void {
            const low, const high = range;
            const shift = smallerOf(d[high - 1], e[high - 1], d[high]);
            var zero_inside = false;
            for (d[low .. high + 1]) |x| zero_inside = zero_inside or x == 0;
            const ratio = shift / @abs(d[low]);
            if (zero_inside or ratio * ratio < eps) {
                zeroShift(d, e, range, left, right);
            } else {
                shifted(d, e, .{ low, high }, shift, .{ left, right });
            }
        }

        fn zeroShift(
            d: []T,
            e: []T,
            range: [2]usize,
            left: *Rotations(T),
            right: *Rotations(T),
        ) void {
            const low, const high = range;
            var c: T = 1;
            var c_old: T = 1;
            var s_old: T = 0;
            for (low..high) |i| {
                const across = Math.rotation(d[i] * c, e[i]);
                c = across.c;
                if (i > low) e[i - 1] = s_old * across.r;
                const down = Math.rotation(c_old * across.r, d[i + 1] * across.s);
                c_old = down.c;
                s_old = down.s;
                d[i] = down.r;
                right.add(i, across.c, across.s);
                left.add(i, down.c, down.s);
            }
            const last = d[high] * c;
            d[high] = last * c_old;
            e[high - 1] = last * s_old;
        }

        fn shifted(
            d: []T,
            e: []T,
            range: [2]usize,
            shift: T,
            rotations: [2]*Rotations(T),
        ) void {
            const low, const high = range;
            const sign: T = if (d[low] < 0) -1 else 1;
            var f = (@abs(d[low]) - shift) * (sign + shift / d[low]);
            var g = e[low];
            for (low..high) |i| {
                const across = Math.rotation(f, g);
                if (i > low) e[i - 1] = across.r;
                f = across.c * d[i] + across.s * e[i];
                e[i] = across.c * e[i] - across.s * d[i];
                g = across.s * d[i + 1];
                d[i + 1] = across.c * d[i + 1];
                const down = Math.rotation(f, g);
                d[i] = down.r;
                f = down.c * e[i] + down.s * d[i + 1];
                d[i + 1] = down.c * d[i + 1] - down.s * e[i];
                if (i + 1 < high) {
                    g = down.s * e[i + 1];
                    e[i + 1] = down.c * e[i + 1];
                }
                rotations[1].add(i, across.c, across.s);
                rotations[0].add(i, down.c, down.s);
            }
            e[high - 1] = f;
        }

        /// The smaller singular value of (f g; 0 h).
        fn smallerOf(f_signed: T, g_signed: T, h_signed: T) T {
            const f = @abs(f_signed);
            const g = @abs(g_signed);
            const h = @abs(h_signed);
            const small = @min(f, h);
            const large = @max(f, h);
            if (small == 0) return 0;
            if (g < large) {
                const sum = 1 + small / large;
                const difference = (large - small) / large;
                const ratio = (g / large) * (g / large);
                const c = 2 / (@sqrt(sum * sum + ratio) + @sqrt(difference * difference + ratio));
                return small * c;
            }
            const ratio = large / g;
            if (ratio == 0) return (small * large) / g;
            const sum = (1 + small / large) * ratio;
            const difference = ((large - small) / large) * ratio;
            const c = 1 / (@sqrt(1 + sum * sum) + @sqrt(1 + difference * difference));
            return 2 * (small * c) * ratio;
        }
    };
}
