//! l = the Cholesky factor of each symmetric positive definite matrix of a batch: a = l l', l lower
//! triangular; of a only the lower triangle is read. A leading minor that is not positive is
//! reported with its order, counted from 1.

const cholesky = @import("../linalg/cholesky.zig");
const matrices = @import("matrices.zig");
const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const n = matrices.extents(view)[0];
    const l = matrices.partAt(T, task.out(0), index, matrices.batchOf(view));
    const from = matrices.matrixAt(T, view, view, index);
    if (!matrices.copyFinite(T, task, index, .{ .from = from, .to = l, .columns = n })) return;
    const failed = cholesky.factor(T, l, n, matrices.scratchOf(task));
    if (failed > 0) _ = matrices.refuse(task, .matrix_not_positive_definite, index, failed);
}
