//! A = U S V' for any A (m, n): reduction to bidiagonal form, QR steps on it, rotations taken by U'
//! and V'. A wide matrix is decomposed as its transpose. Singular values come sorted, largest
//! first, and are not negative.

const std = @import("std");
const bidiagonal = @import("bidiagonal.zig");
const gemm = @import("../kernels/gemm.zig");
const reflectors = @import("reflectors.zig");
const rotations = @import("rotations.zig");
const vectors = @import("vectors.zig");

/// Columns of U and rows of V' that are wanted: 0, min(m, n), or all.
pub const Extent = struct { m: usize, n: usize, u_columns: usize, v_rows: usize };

/// Elements of work; the copy of A, by rows of its longer side, begins it.
pub fn workSize(extent: Extent) usize {
    const long = @max(extent.m, extent.n);
    const short = @min(extent.m, extent.n);
    const reduced = 2 * long * short + short * short + 5 * short;
    if (extent.u_columns == 0 and extent.v_rows == 0) return reduced;
    const width = @max(short, if (extent.m >= extent.n) extent.u_columns else extent.v_rows);
    return reduced + width * long + short * short + 2 * rotations.workSize(short) +
        reflectors.workSize(long) + short;
}

pub fn Svd(comptime T: type) type {
    return struct {
        const B = bidiagonal.Bidiagonal(T);
        const Matrix = gemm.Matrix(T);

        pub const Out = struct { s: []T, u: []T, vt: []T };

        /// Fills `out`; false when the values did not converge, which only what is not finite does.
        pub fn factor(extent: Extent, out: Out, work: []T, scratch: []align(64) u8) bool {
            const m = @max(extent.m, extent.n);
            const n = @min(extent.m, extent.n);
            if (n == 0) {
                fillEmpty(extent, out);
                return true;
            }
            var left = work;
            const a = take(&left, m * n);
            const reduced: B.Reduced = .{
                .d = out.s,
                .e = take(&left, n),
                .left = take(&left, n * m),
                .left_tau = take(&left, n),
                .right = take(&left, n * n),
                .right_tau = take(&left, n),
            };
            const products = take(&left, n);
            const scale = vectors.scaleOf(T, vectors.Vectors(T).largest(a));
            if (scale != 1) vectors.Vectors(T).scale(a, scale);
            B.reduce(a, m, reduced, products);
            const wanted = extent.u_columns + extent.v_rows > 0;
            const long_width = if (extent.m >= extent.n) extent.u_columns else extent.v_rows;
            const width = if (wanted) @max(n, long_width) else 0;
            const ut = take(&left, width * m);
            const vt = take(&left, if (wanted) n * n else 0);
            if (wanted) {
                basis(reduced, .{ .m = m, .width = width, .ut = ut, .vt = vt }, left, scratch);
            }
            const size = if (wanted) rotations.workSize(n) else 0;
            const left_work = take(&left, size);
            const right_work = take(&left, size);
            const rotated = ut[0..if (wanted) n * m else 0];
            var on_left = rotations.Rotations(T).init(rotated, m, left_work, scratch);
            var on_right = rotations.Rotations(T).init(vt, n, right_work, scratch);
            if (!B.diagonalize(reduced.d, reduced.e, &on_left, &on_right)) return false;
            for (out.s, 0..) |*value, i| {
                if (value.* < 0) {
                    value.* = -value.*;
                    if (wanted) vectors.Vectors(T).scale(vt[i * n ..][0..n], -1);
                }
                value.* /= scale;
            }
            const order = if (wanted) reduced.left_tau else out.s[0..0];
            sort(out.s, order);
            if (wanted) place(extent, out, .{ .ut = ut, .vt = vt, .order = order });
            return true;
        }

        /// Q' (width, m) and P' (n, n) by rows.
        fn basis(
            reduced: B.Reduced,
            to: struct { m: usize, width: usize, ut: []T, vt: []T },
            work: []T,
            scratch: []align(64) u8,
        ) void {
            const n = reduced.d.len;
            const q = Matrix.rowMajor(to.ut.ptr, to.m).transposed();
            reflectors.identity(T, q, to.m, to.width);
            const R = reflectors.Reflectors(T);
            const on_left: R = .{ .v = reduced.left, .tau = reduced.left_tau, .length = to.m };
            on_left.apply(q, .{
                .columns = to.width,
                .first = 0,
                .order = .forward,
                .identity = true,
                .work = work,
                .scratch = scratch,
            });
            const p = Matrix.rowMajor(to.vt.ptr, n).transposed();
            reflectors.identity(T, p, n, n);
            const on_right: R = .{
                .v = reduced.right,
                .tau = reduced.right_tau[0 .. n - 1],
                .length = n,
            };
            on_right.apply(p, .{
                .columns = n,
                .first = 1,
                .order = .forward,
                .identity = true,
                .work = work,
                .scratch = scratch,
            });
        }

        const Bases = struct { ut: []const T, vt: []const T, order: []const T };

        /// U and V' from rows in the order of the values; a wide matrix changes their roles.
        fn place(extent: Extent, out: Out, from: Bases) void {
            const tall = extent.m >= extent.n;
            const us = if (tall) from.ut else from.vt;
            const vs = if (tall) from.vt else from.ut;
            for (0..extent.u_columns) |j| {
                const row = us[rowOf(from.order, j) * extent.m ..][0..extent.m];
                for (row, 0..) |x, i| out.u[i * extent.u_columns + j] = x;
            }
            for (0..extent.v_rows) |j| {
                const row = vs[rowOf(from.order, j) * extent.n ..][0..extent.n];
                @memcpy(out.vt[j * extent.n ..][0..extent.n], row);
            }
        }

        /// Rows past the values complete a square basis and keep their places.
        fn rowOf(order: []const T, j: usize) usize {
            return if (j < order.len) @intFromFloat(order[j]) else j;
        }

        /// Largest first; `order` gets where each came from.
        fn sort(s: []T, order: []T) void {
            for (order, 0..) |*at, i| at.* = @floatFromInt(i);
            for (0..s.len) |i| {
                var most = i;
                for (i + 1..s.len) |j| {
                    if (s[j] > s[most]) most = j;
                }
                std.mem.swap(T, &s[i], &s[most]);
                if (order.len > 0) std.mem.swap(T, &order[i], &order[most]);
            }
        }

        fn fillEmpty(extent: Extent, out: Out) void {
            const u = Matrix.rowMajor(out.u.ptr, extent.u_columns);
            reflectors.identity(T, u, extent.m, extent.u_columns);
            const vt = Matrix.rowMajor(out.vt.ptr, extent.n);
            reflectors.identity(T, vt, extent.v_rows, extent.n);
        }

        fn take(from: *[]T, count: usize) []T {
            const part = from.*[0..count];
            from.* = from.*[count..];
            return part;
        }
    };
}
