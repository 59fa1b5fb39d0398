//! X = A^-1 X in place, for a lower or upper triangular A (n, n) of any strides and X (n, columns)
//! by rows: blocks on the diagonal by substitution, everything beside them as matrix products.

const std = @import("std");
const gemm = @import("../kernels/gemm.zig");
const Vectors = @import("vectors.zig").Vectors;

const block = 48;

pub const Shape = struct { lower: bool, unit: bool = false };

pub fn solve(
    comptime T: type,
    shape: Shape,
    a: gemm.Matrix(T),
    x: struct { data: []T, rows: usize, columns: usize },
    scratch: []align(64) u8,
) void {
    const n = x.rows;
    const width = x.columns;
    if (n == 0 or width == 0) return;
    const whole = gemm.Matrix(T).rowMajor(x.data.ptr, width);
    const block_count = (n + block - 1) / block;
    for (0..block_count) |step| {
        const index = if (shape.lower) step else block_count - 1 - step;
        const start = index * block;
        const end = @min(n, start + block);
        const own = x.data[start * width .. end * width];
        substitute(T, shape, a.from(start, start), own, width);
        const rest_start = if (shape.lower) end else 0;
        const rest_end = if (shape.lower) n else start;
        gemm.Gemm(T).multiply(T, T, .{
            .shape = .{ .m = rest_end - rest_start, .n = width, .k = end - start },
            .a = a.from(rest_start, start),
            .b = whole.from(start, 0),
            .c = whole.from(rest_start, 0),
            .update = .subtract,
            .scratch = scratch,
        });
    }
}

fn substitute(comptime T: type, shape: Shape, a: gemm.Matrix(T), x: []T, width: usize) void {
    const n = x.len / width;
    for (0..n) |step| {
        const i = if (shape.lower) step else n - 1 - step;
        const row = x[i * width ..][0..width];
        const first = if (shape.lower) 0 else i + 1;
        const last = if (shape.lower) i else n;
        for (first..last) |k| {
            Vectors(T).addScaled(row, -a.at(i, k)[0], x.ptr + k * width);
        }
        if (shape.unit) continue;
        const pivot = a.at(i, i)[0];
        for (row) |*value| value.* /= pivot;
    }
}
