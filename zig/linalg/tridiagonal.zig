//! The reduction of a symmetric A (n, n) to a tridiagonal matrix, A = Q T Q', by Householder
//! reflectors in blocks: within a block each column takes what its reflectors have changed so far,
//! and A itself, which is only read, takes all of a block at once as a product of matrices:
//! A - V W' - W V'.
//! Source: Dongarra, Hammarling and Sorensen, Block reduction of matrices to condensed forms for
//! eigenvalue computations (1989).

const std = @import("std");
const gemm = @import("../kernels/gemm.zig");
const Gemv = @import("../kernels/gemv.zig").Gemv;
const Vectors = @import("vectors.zig").Vectors;

/// Reflectors of a block.
const block = 32;

/// Elements of work: W of a block.
pub fn workSize(n: usize) usize {
    return block * n;
}

pub fn Tridiagonal(comptime T: type) type {
    return struct {
        const Math = Vectors(T);
        const Matrix = gemm.Matrix(T);

        /// What `reduce` leaves: diagonals, and reflector k in row k of v, beginning at k + 1.
        pub const Reduced = struct {
            d: []T, // (n)
            e: []T, // (n), the last unused
            v: []T, // (n, n)
            tau: []T, // (n)
        };

        /// `a` (n, n), all of it filled, is used up.
        pub fn reduce(a: []T, to: Reduced, work: []T, scratch: []align(64) u8) void {
            const n = to.d.len;
            var start: usize = 0;
            while (start < n) : (start += block) {
                const end = @min(n, start + block);
                const panel: Panel = .{
                    .a = Matrix.rowMajor(a.ptr, n),
                    .to = to,
                    .w = work[0..workSize(n)],
                    .start = start,
                };
                for (start..end) |k| panel.column(k);
                if (end < n) panel.finish(end, scratch);
            }
        }

        const Panel = struct {
            a: Matrix,
            to: Reduced,
            w: []T, // (block, n)
            start: usize,

            /// Row k of A as the block's reflectors have left it, and the next reflector.
            fn column(panel: Panel, k: usize) void {
                const to = panel.to;
                const n = to.d.len;
                const row = panel.a.at(k, 0)[0..n];
                for (panel.start..k) |j| {
                    const v, const w = panel.pair(j);
                    Math.addScaled(row[k..], -v[k], w.ptr + k);
                    Math.addScaled(row[k..], -w[k], v.ptr + k);
                }
                to.d[k] = row[k];
                to.e[k] = 0;
                to.tau[k] = 0;
                if (k + 1 == n) return;
                const v = to.v[k * n ..][0..n];
                @memset(v[0 .. k + 1], 0);
                @memcpy(v[k + 1 ..], row[k + 1 ..]);
                const made = Math.reflector(v[k + 1 ..]);
                to.e[k] = made.beta;
                to.tau[k] = made.tau;
                panel.multiply(k, v, made.tau);
            }

            /// w = tau (A v - tau / 2 (v' A v) v), A as it would be with all of the block so far.
            fn multiply(panel: Panel, k: usize, v: []const T, tau: T) void {
                const n = v.len;
                const first = k + 1;
                const w = panel.w[(k - panel.start) * n ..][0..n];
                Gemv(T).multiply(T, .{
                    .m = n - first,
                    .k = n - first,
                    .a = panel.a.from(first, first),
                    .x = v.ptr + first,
                    .y = w.ptr + first,
                });
                for (panel.start..k) |j| {
                    const earlier_v, const earlier_w = panel.pair(j);
                    const along_v = Math.dot(v[first..], earlier_v.ptr + first);
                    const along_w = Math.dot(v[first..], earlier_w.ptr + first);
                    Math.addScaled(w[first..], -along_w, earlier_v.ptr + first);
                    Math.addScaled(w[first..], -along_v, earlier_w.ptr + first);
                }
                Math.scale(w[first..], tau);
                const along = Math.dot(w[first..], v.ptr + first);
                Math.addScaled(w[first..], -tau / 2 * along, v.ptr + first);
            }

            /// Reflector j of the block and its w.
            fn pair(panel: Panel, j: usize) [2][]const T {
                const n = panel.to.d.len;
                return .{
                    panel.to.v[j * n ..][0..n],
                    panel.w[(j - panel.start) * n ..][0..n],
                };
            }

            /// A -= V W' + W V', from row and column `end` on.
            fn finish(panel: Panel, end: usize, scratch: []align(64) u8) void {
                const n = panel.to.d.len;
                const v = Matrix.rowMajor(panel.to.v.ptr, n).from(panel.start, end);
                const w = Matrix.rowMajor(panel.w.ptr, n).from(0, end);
                for ([_][2]Matrix{ .{ v, w }, .{ w, v } }) |factors| {
                    gemm.Gemm(T).multiply(T, T, .{
                        .shape = .{ .m = n - end, .n = n - end, .k = end - panel.start },
                        .a = factors[0].transposed(),
                        .b = factors[1],
                        .c = panel.a.from(end, end),
                        .update = .subtract,
                        .scratch = scratch,
                    });
                }
            }
        };
    };
}
