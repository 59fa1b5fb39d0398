//! Householder reflectors in blocks: H1 H2 ... Hk = I - V T V', V (m, k) with unit diagonal and T
//! (k, k) upper triangular, so that a block is applied by matrix products. V is kept transposed:
//! row j is reflector j, zero before its own first element.
//! Source: Schreiber and Van Loan, A storage-efficient WY representation (1989).

const std = @import("std");
const gemm = @import("../kernels/gemm.zig");
const Vectors = @import("vectors.zig").Vectors;

/// Reflectors of a block.
pub const block = 32;

/// Elements of work that `apply` takes for a matrix of `columns`.
pub fn workSize(columns: usize) usize {
    return 2 * block * columns + 2 * block * block;
}

pub fn Reflectors(comptime T: type) type {
    return struct {
        const Math = Vectors(T);
        const Matrix = gemm.Matrix(T);

        /// All reflectors of a factorization, in the order in which they were made.
        v: []const T, // (count, length)
        tau: []const T, // (count)
        length: usize,

        const Self = @This();

        /// C = H1 H2 ... Hk C, or Hk ... H1 C for `.backward`, for a matrix C (length, columns) of
        /// rows or columns without gaps. `first` is where reflector 0 has its first element:
        /// rows of C above stay as they are.
        pub fn apply(
            self: Self,
            c: Matrix,
            args: struct {
                columns: usize,
                first: usize,
                order: enum { forward, backward },
                /// C is the identity: columns left of a block are zero below, and stay so.
                identity: bool = false,
                work: []T,
                scratch: []align(64) u8,
            },
        ) void {
            const count = self.tau.len;
            const block_count = (count + block - 1) / block;
            for (0..block_count) |step| {
                // H1 ... Hk C begins with Hk.
                const index = if (args.order == .forward) block_count - 1 - step else step;
                const start = index * block;
                const end = @min(count, start + block);
                const skip = @min(self.length, args.first + start);
                const left = if (args.identity) @min(args.columns, skip) else 0;
                self.applyBlock(.{
                    .start = start,
                    .end = end,
                    .skip = skip,
                    .transposed = args.order == .backward,
                    .c = c.from(skip, left),
                    .columns = args.columns - left,
                    .work = args.work,
                    .scratch = args.scratch,
                });
            }
        }

        const Block = struct {
            start: usize,
            end: usize,
            skip: usize,
            transposed: bool,
            c: Matrix,
            columns: usize,
            work: []T,
            scratch: []align(64) u8,
        };

        /// C -= V T (V' C), or with T' for the block in reverse.
        fn applyBlock(self: Self, args: Block) void {
            const count = args.end - args.start;
            const rows = self.length - args.skip;
            if (rows == 0 or args.columns == 0 or count == 0) return;
            const vt: Matrix = .{
                .data = @constCast(self.v.ptr) + args.start * self.length + args.skip,
                .row_stride = @intCast(self.length),
                .column_stride = 1,
            };
            const t = args.work[0 .. block * block];
            self.triangle(vt, rows, .{ .start = args.start, .count = count }, args);
            const w = args.work[2 * block * block ..][0 .. block * args.columns];
            const tw = args.work[2 * block * block + block * args.columns ..];
            const t_matrix = Matrix.rowMajor(t.ptr, block);
            const w_matrix = Matrix.rowMajor(w.ptr, args.columns);
            const tw_matrix = Matrix.rowMajor(tw.ptr, args.columns);
            product(w_matrix, vt, args.c, .{
                .shape = .{ .m = count, .n = args.columns, .k = rows },
                .scratch = args.scratch,
            });
            const triangle_used = if (args.transposed) t_matrix.transposed() else t_matrix;
            product(tw_matrix, triangle_used, w_matrix, .{
                .shape = .{ .m = count, .n = args.columns, .k = count },
                .scratch = args.scratch,
            });
            product(args.c, vt.transposed(), tw_matrix, .{
                .shape = .{ .m = rows, .n = args.columns, .k = count },
                .update = .subtract,
                .scratch = args.scratch,
            });
        }

        /// T of a block: T[j, j] = tau_j, T[:j, j] = -tau_j T[:j, :j] (V' v_j).
        fn triangle(
            self: Self,
            vt: Matrix,
            rows: usize,
            of: struct { start: usize, count: usize },
            args: Block,
        ) void {
            const t = args.work[0 .. block * block];
            const inner = args.work[block * block ..][0 .. block * block];
            product(Matrix.rowMajor(inner.ptr, block), vt, vt.transposed(), .{
                .shape = .{ .m = of.count, .n = of.count, .k = rows },
                .scratch = args.scratch,
            });
            @memset(t, 0);
            for (0..of.count) |j| {
                const tau = self.tau[of.start + j];
                t[j * block + j] = tau;
                for (0..j) |i| {
                    var sum: T = 0;
                    for (i..j) |k| sum += t[i * block + k] * inner[k * block + j];
                    t[i * block + j] = -tau * sum;
                }
            }
        }

        const Product = struct {
            shape: gemm.Shape,
            update: gemm.Update = .store,
            scratch: []align(64) u8,
        };

        fn product(c: Matrix, a: Matrix, b: Matrix, args: Product) void {
            gemm.Gemm(T).multiply(T, T, .{
                .shape = args.shape,
                .a = a,
                .b = b,
                .c = c,
                .update = args.update,
                .scratch = args.scratch,
            });
        }
    };
}

/// Sets C (rows, columns) to ones on the diagonal.
pub fn identity(comptime T: type, c: gemm.Matrix(T), rows: usize, columns: usize) void {
    for (0..rows) |i| {
        for (0..columns) |j| c.at(i, j)[0] = if (i == j) 1 else 0;
    }
}
