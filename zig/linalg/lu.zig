//! P A = L U with partial pivoting, A (m, n) by rows, in place: L below the diagonal (its own is
//! 1), U on and above. Panels of columns by elimination, what lies right of them by substitution,
//! the rest as matrix products. Row i of P A is row `order[i]` of A.

const std = @import("std");
const gemm = @import("../kernels/gemm.zig");
const triangular = @import("triangular.zig");
const Vectors = @import("vectors.zig").Vectors;

const panel = 32;

/// What a factorization met.
pub const Outcome = struct {
    /// 0, or 1 + the first column without a pivot.
    singular: usize = 0,
    /// Whether the rows were put in an odd order: the sign of the determinant of P.
    odd: bool = false,
};

pub fn factor(
    comptime T: type,
    a: []T,
    extent: struct { m: usize, n: usize },
    order: []i32,
    scratch: []align(64) u8,
) Outcome {
    const m = extent.m;
    const n = extent.n;
    std.debug.assert(order.len == m);
    const matrix = gemm.Matrix(T).rowMajor(a.ptr, n);
    for (order, 0..) |*row, i| row.* = @intCast(i);
    var outcome: Outcome = .{};
    var start: usize = 0;
    const count = @min(m, n);
    while (start < count) : (start += panel) {
        const end = @min(count, start + panel);
        for (start..end) |column| {
            eliminate(T, a, .{ .m = m, .n = n, .end = end, .column = column }, order, &outcome);
        }
        if (end == n) continue;
        // Rows of U right of the panel: L11 U12 = A12, row by row.
        for (start..end) |i| {
            const row = a[i * n + end .. (i + 1) * n];
            for (start..i) |k| {
                Vectors(T).addScaled(row, -a[i * n + k], a.ptr + k * n + end);
            }
        }
        gemm.Gemm(T).multiply(T, T, .{
            .shape = .{ .m = m - end, .n = n - end, .k = end - start },
            .a = matrix.from(end, start),
            .b = matrix.from(start, end),
            .c = matrix.from(end, end),
            .update = .subtract,
            .scratch = scratch,
        });
    }
    return outcome;
}

const Step = struct { m: usize, n: usize, end: usize, column: usize };

/// Brings the largest element of a column up and clears it from the rows below, in the panel.
fn eliminate(comptime T: type, a: []T, step: Step, order: []i32, outcome: *Outcome) void {
    const n = step.n;
    const at = step.column;
    var pivot_row = at;
    var most: T = -1;
    for (at..step.m) |i| {
        const size = @abs(a[i * n + at]);
        if (size > most) {
            most = size;
            pivot_row = i;
        }
    }
    if (pivot_row != at) {
        for (a[at * n ..][0..n], a[pivot_row * n ..][0..n]) |*x, *y| std.mem.swap(T, x, y);
        std.mem.swap(i32, &order[at], &order[pivot_row]);
        outcome.odd = !outcome.odd;
    }
    const pivot = a[at * n + at];
    if (pivot == 0) {
        if (outcome.singular == 0) outcome.singular = at + 1;
        return;
    }
    const right = a.ptr + at * n + at + 1;
    for (at + 1..step.m) |i| {
        const factor_of_row = a[i * n + at] / pivot;
        a[i * n + at] = factor_of_row;
        Vectors(T).addScaled(a[i * n + at + 1 .. i * n + step.end], -factor_of_row, right);
    }
}

/// Right-hand sides (n, columns), by rows.
fn Sides(comptime T: type) type {
    return struct { data: []T, columns: usize };
}

/// x = P b
pub fn permute(comptime T: type, order: []const i32, b: gemm.Matrix(T), x: Sides(T)) void {
    for (order, 0..) |row, i| {
        for (x.data[i * x.columns ..][0..x.columns], 0..) |*value, j| {
            value.* = b.at(@intCast(row), j)[0];
        }
    }
}

/// X = (L U)^-1 X in place, from the factors (n, n).
pub fn solve(comptime T: type, lu: []T, x: Sides(T), scratch: []align(64) u8) void {
    if (x.columns == 0) return;
    const n = x.data.len / x.columns;
    const a = gemm.Matrix(T).rowMajor(lu.ptr, n);
    for ([_]triangular.Shape{ .{ .lower = true, .unit = true }, .{ .lower = false } }) |shape| {
        triangular.solve(
            T,
            shape,
            a,
            .{ .data = x.data, .rows = n, .columns = x.columns },
            scratch,
        );
    }
}
