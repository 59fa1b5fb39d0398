//! P a = L U with partial pivoting, for each (m, n) matrix of a batch: lu holds U on and above the
//! diagonal and L, whose diagonal is 1, below; row i of P a is row order[i] of a; sign is the
//! determinant of P, 1 or -1. A matrix without a pivot in some column has a zero on U's diagonal.

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
    const sign = matrices.partAt(T, task.out(2), index, batch);
    const from = matrices.matrixAt(T, view, view, index);
    if (!matrices.copyFinite(T, task, index, .{ .from = from, .to = a, .columns = n })) return;
    const made = lu.factor(T, a, .{ .m = m, .n = n }, order, matrices.scratchOf(task));
    sign[0] = if (made.odd) -1 else 1;
}
