//! l = the Cholesky factor of each symmetric positive definite matrix of a batch: a = l l', l lower
//! triangular; of a only the lower triangle is read. info (..., 2) is 0, or the order of the first
//! leading minor that is not positive, and l is NaN then.

const std = @import("std");
const cholesky = @import("../linalg/cholesky.zig");
const matrices = @import("matrices.zig");
const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const batch = matrices.batchOf(view);
    const n = matrices.extents(view)[0];
    const l = matrices.partAt(T, task.out(0), index, batch);
    const info = matrices.partAt(i32, task.out(1), index, batch);
    _ = matrices.copyFinite(T, matrices.matrixAt(T, view, view, index), l, n);
    const failed = cholesky.factor(T, l, n, matrices.scratchOf(task));
    if (failed > 0) @memset(l, std.math.nan(T));
    info[0] = @intCast(failed);
    info[1] = 0;
}
