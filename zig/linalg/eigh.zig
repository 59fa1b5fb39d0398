//! A = Q diag(w) Q' for a symmetric A (n, n), of which the lower triangle is read: reduction to
//! tridiagonal form, then QR steps with Wilkinson's shift, rotations taken by Q'. Eigenvalues come
//! sorted, smallest first.
//! Source: Golub and Van Loan, Matrix Computations, 8.3 (implicit symmetric QR step).

const std = @import("std");
const deflate = @import("deflate.zig").deflate;
const gemm = @import("../kernels/gemm.zig");
const reflectors = @import("reflectors.zig");
const rotations = @import("rotations.zig");
const tridiagonal = @import("tridiagonal.zig");
const vectors = @import("vectors.zig");

/// Elements of work; the copy of A begins it.
pub fn workSize(n: usize, with_vectors: bool) usize {
    const reduced = 2 * n * n + 2 * n + tridiagonal.workSize(n);
    if (!with_vectors) return reduced;
    return reduced + n * n + rotations.workSize(n) + reflectors.workSize(n);
}

pub fn Eigh(comptime T: type) type {
    return struct {
        const Math = vectors.Vectors(T);
        const Tridiagonal = tridiagonal.Tridiagonal(T);
        const eps = std.math.floatEps(T);

        /// Fills w (n) and, unless it is empty, q (n, n) with an eigenvector a column; false when
        /// the values did not converge, which only what is not finite does.
        pub fn factor(w: []T, q: []T, work: []T, scratch: []align(64) u8) bool {
            const n = w.len;
            if (n == 0) return true;
            const a = work[0 .. n * n];
            const v = work[n * n ..][0 .. n * n];
            const e = work[2 * n * n ..][0..n];
            const tau = work[2 * n * n + n ..][0..n];
            var rest = work[2 * n * n + 2 * n ..];
            mirror(a, n);
            const scale = vectors.scaleOf(T, Math.largest(a));
            if (scale != 1) Math.scale(a, scale);
            const reduced: Tridiagonal.Reduced = .{ .d = w, .e = e, .v = v, .tau = tau };
            Tridiagonal.reduce(a, reduced, rest, scratch);
            const wanted = q.len > 0;
            rest = rest[tridiagonal.workSize(n)..];
            const qt = rest[0..if (wanted) n * n else 0];
            if (wanted) {
                rest = rest[n * n ..];
                const basis = gemm.Matrix(T).rowMajor(qt.ptr, n).transposed();
                reflectors.identity(T, basis, n, n);
                const all: reflectors.Reflectors(T) = .{
                    .v = v,
                    .tau = tau[0 .. n - 1],
                    .length = n,
                };
                all.apply(basis, .{
                    .columns = n,
                    .first = 1,
                    .order = .forward,
                    .identity = true,
                    .work = rest,
                    .scratch = scratch,
                });
            }
            const list = rest[0..if (wanted) rotations.workSize(n) else 0];
            var on_basis = rotations.Rotations(T).init(qt, n, list, scratch);
            if (!diagonalize(w, e, &on_basis)) return false;
            for (w) |*value| value.* /= scale;
            place(w, tau, qt, q);
            return true;
        }

        fn mirror(a: []T, n: usize) void {
            for (0..n) |i| {
                for (0..i) |j| a[j * n + i] = a[i * n + j];
            }
        }

        fn diagonalize(d: []T, e: []T, on_basis: *rotations.Rotations(T)) bool {
            const n = d.len;
            const limit = eps * @max(Math.largest(d), Math.largest(e[0 .. n - 1])) / 16;
            const steps: Steps = .{ .d = d, .e = e, .limit = limit, .on_basis = on_basis };
            if (!deflate(T, e, steps)) return false;
            on_basis.flush();
            return true;
        }

        const Steps = struct {
            d: []T,
            e: []T,
            limit: T,
            on_basis: *rotations.Rotations(T),

            pub fn negligible(of: Steps, at: usize) bool {
                const size = @abs(of.e[at]);
                return size <= of.limit or
                    size <= eps * @sqrt(@abs(of.d[at])) * @sqrt(@abs(of.d[at + 1]));
            }

            pub fn take(of: Steps, low: usize, high: usize) void {
                step(of.d, of.e, .{ low, high }, of.on_basis);
            }
        };

        fn step(d: []T, e: []T, range: [2]usize, on_basis: *rotations.Rotations(T)) void {
            const low, const high = range;
            const half = (d[high - 1] - d[high]) / 2;
            const off = e[high - 1];
            const most = @max(@abs(half), @abs(off));
            const a = half / most;
            const b = off / most;
            const length = most * @sqrt(a * a + b * b);
            const shift = d[high] - off * (off / (half + if (half < 0) -length else length));
            var f = d[low] - shift;
            var g = e[low];
            for (low..high) |k| {
                const by = Math.rotation(f, g);
                const c = by.c;
                const s = by.s;
                if (k > low) e[k - 1] = by.r;
                const difference = (d[k] - d[k + 1]) * s - 2 * c * e[k];
                const move = s * difference;
                d[k] -= move;
                d[k + 1] += move;
                e[k] = -c * difference - e[k];
                if (k + 1 < high) {
                    f = e[k];
                    g = s * e[k + 1];
                    e[k + 1] = c * e[k + 1];
                }
                on_basis.add(k, c, s);
            }
        }

        /// Smallest first; eigenvectors, rows of qt, become columns of q.
        fn place(w: []T, order: []T, qt: []const T, q: []T) void {
            const n = w.len;
            for (order, 0..) |*at, i| at.* = @floatFromInt(i);
            for (0..n) |i| {
                var least = i;
                for (i + 1..n) |j| {
                    if (w[j] < w[least]) least = j;
                }
                std.mem.swap(T, &w[i], &w[least]);
                std.mem.swap(T, &order[i], &order[least]);
            }
            if (q.len == 0) return;
            for (order, 0..) |at, j| {
                const row = qt[@as(usize, @intFromFloat(at)) * n ..][0..n];
                for (row, 0..) |x, i| q[i * n + j] = x;
            }
        }
    };
}
