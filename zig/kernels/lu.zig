//! P a = L U with partial pivoting, for each (m, n) matrix of a batch: lu holds U on and above the
//! diagonal and L, whose diagonal is 1, below; row i of P a is row order[i] of a. info (..., 2) is
//! 1 + the first column without a pivot, or 0, and whether P is odd.

const lu = @import("../linalg/lu.zig");
const matrices = @import("matrices.zig");
const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const batch = matrices.batchOf(view);
    const m, const n = matrices.extents(view);
    const a = matrices.partAt(T, task.out(0), index, batch);
    const order = matrices.partAt(i32, task.out(1), index, batch);
    const info = matrices.partAt(i32, task.out(2), index, batch);
    _ = matrices.copyFinite(T, matrices.matrixAt(T, view, view, index), a, n);
    const made = lu.factor(T, a, .{ .m = m, .n = n }, order, matrices.scratchOf(task));
    info[0] = @intCast(made.singular);
    info[1] = @intFromBool(made.odd);
}
