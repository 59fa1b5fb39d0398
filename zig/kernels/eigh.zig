//! a = q diag(w) q' for each symmetric matrix of a batch, of which the lower triangle is read: w
//! sorted, smallest first; q has an eigenvector a column, or no columns where none are wanted.
//! `work` is room to work in. Values that do not converge, which no finite matrix is known to do,
//! are reported.

const eigh = @import("../linalg/eigh.zig");
const matrices = @import("matrices.zig");
const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const batch = matrices.batchOf(view);
    const n = matrices.extents(view)[0];
    const w = matrices.partAt(T, task.out(0), index, batch);
    const q = matrices.partAt(T, task.out(1), index, batch);
    const work = matrices.partAt(T, task.out(2), index, batch);
    const from = matrices.matrixAt(T, view, view, index);
    const copy = work[0 .. n * n];
    if (!matrices.copyFinite(T, task, index, .{ .from = from, .to = copy, .columns = n })) return;
    if (eigh.Eigh(T).factor(w, q, work, matrices.scratchOf(task))) return;
    _ = matrices.refuse(task, .matrix_not_converged, index, 0);
}
