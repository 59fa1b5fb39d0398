//! x = a^-1 b for each lower or upper triangular a (n, n) of a batch and b (n, columns); the other
//! triangle is not read, nor the diagonal where it is taken as 1. A zero on the diagonal is
//! reported with its place, what is not finite in what is read with its row.

const std = @import("std");
const gemm = @import("gemm.zig");
const matrices = @import("matrices.zig");
const triangular = @import("../linalg/triangular.zig");
const Task = @import("task.zig").Task;

pub const Attrs = extern struct { lower: u32, unit: u32 };

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const b = task.in(1);
    const n, const columns = matrices.extents(b);
    const attrs = task.attr(Attrs);
    const x = matrices.partAt(T, task.out(0), index, matrices.batchOf(view));
    const right = matrices.matrixAt(T, b, b, index);
    if (!matrices.copyFinite(T, task, index, .{
        .from = right,
        .to = x,
        .columns = columns,
    })) return;
    const shape: triangular.Shape = .{ .lower = attrs.lower != 0, .unit = attrs.unit != 0 };
    const a = matrices.matrixAt(T, view, view, index);
    if (!sound(T, task, index, .{ .a = a, .n = n, .shape = shape })) return;
    triangular.solve(
        T,
        shape,
        a,
        .{ .data = x, .rows = n, .columns = columns },
        matrices.scratchOf(task),
    );
}

/// Whether all of a that is read is finite, and no pivot zero.
fn sound(
    comptime T: type,
    task: *const Task,
    index: usize,
    of: struct { a: gemm.Matrix(T), n: usize, shape: triangular.Shape },
) bool {
    for (0..of.n) |i| {
        const pivot = of.a.at(i, i)[0];
        if (!of.shape.unit and pivot == 0) return matrices.refuse(task, .matrix_singular, index, i);
        const first = if (of.shape.lower) 0 else i + @intFromBool(of.shape.unit);
        const last = if (of.shape.lower) i + @intFromBool(!of.shape.unit) else of.n;
        for (first..last) |j| {
            if (std.math.isFinite(of.a.at(i, j)[0])) continue;
            return matrices.refuse(task, .matrix_not_finite, index, i);
        }
    }
    return true;
}
