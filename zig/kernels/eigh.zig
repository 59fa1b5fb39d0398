//! a = q diag(w) q' for each symmetric matrix of a batch, of which the lower triangle is read: w
//! sorted, smallest first; q has an eigenvector a column, or no columns where none are wanted. info
//! (..., 2) is 0, or 1 where an element is not finite: then all results are NaN. `work` is room to
//! work in.

const std = @import("std");
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
    const info = matrices.partAt(i32, task.out(2), index, batch);
    const work = matrices.partAt(T, task.out(3), index, batch);
    const a = matrices.matrixAt(T, view, view, index);
    const finite = matrices.copyFinite(T, a, work[0 .. n * n], n);
    const ok = finite and eigh.Eigh(T).factor(w, q, work, matrices.scratchOf(task));
    if (!ok) {
        @memset(w, std.math.nan(T));
        @memset(q, std.math.nan(T));
    }
    info[0] = @intFromBool(!ok);
    info[1] = 0;
}
