//! x = a^-1 b by LU with partial pivoting, for each square a of a batch and b (n, columns). The
//! factors stay in lu, order and info as the op `lu` has them; where info says singular, x is not
//! finite.

const lu = @import("../linalg/lu.zig");
const matrices = @import("matrices.zig");
const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const batch = matrices.batchOf(view);
    const n = matrices.extents(view)[0];
    const x = matrices.partAt(T, task.out(0), index, batch);
    const a = matrices.partAt(T, task.out(1), index, batch);
    const order = matrices.partAt(i32, task.out(2), index, batch);
    const info = matrices.partAt(i32, task.out(3), index, batch);
    const scratch = matrices.scratchOf(task);
    _ = matrices.copyFinite(T, matrices.matrixAt(T, view, view, index), a, n);
    const made = lu.factor(T, a, .{ .m = n, .n = n }, order, scratch);
    const b = task.in(1);
    lu.solve(
        T,
        .{ .lu = a, .order = order },
        matrices.matrixAt(T, b, b, index),
        .{ .data = x, .columns = matrices.extents(b)[1] },
        scratch,
    );
    info[0] = @intCast(made.singular);
    info[1] = @intFromBool(made.odd);
}
