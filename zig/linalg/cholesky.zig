//! A = L L' for a symmetric positive definite A (n, n), by rows, in place; only the lower triangle
//! is read, the upper one becomes zero. Blocks of columns: the diagonal block and the rows below it
//! by dot products of rows, the rest as matrix products.

const std = @import("std");
const gemm = @import("../kernels/gemm.zig");
const Vectors = @import("vectors.zig").Vectors;

const block = 48;

/// 0, or the order of the first leading minor that is not positive: then L is not finished.
pub fn factor(comptime T: type, a: []T, n: usize, scratch: []align(64) u8) usize {
    const Math = Vectors(T);
    const matrix = gemm.Matrix(T).rowMajor(a.ptr, n);
    var start: usize = 0;
    while (start < n) : (start += block) {
        const end = @min(n, start + block);
        for (start..n) |i| {
            const row = a[i * n ..];
            for (start..@min(i + 1, end)) |j| {
                const known = Math.dot(row[start..j], a.ptr + j * n + start);
                const left = row[j] - known;
                if (i > j) {
                    row[j] = left / a[j * n + j];
                } else {
                    if (!(left > 0)) return j + 1;
                    row[j] = @sqrt(left);
                }
            }
        }
        // The lower triangle of what is left, in blocks of columns.
        var column = end;
        while (column < n) : (column += block) {
            gemm.Gemm(T).multiply(T, T, .{
                .shape = .{
                    .m = n - column,
                    .n = @min(block, n - column),
                    .k = end - start,
                },
                .a = matrix.from(column, start),
                .b = matrix.from(column, start).transposed(),
                .c = matrix.from(column, column),
                .update = .subtract,
                .scratch = scratch,
            });
        }
    }
    for (0..n) |i| @memset(a[i * n + i + 1 .. (i + 1) * n], 0);
    return 0;
}
