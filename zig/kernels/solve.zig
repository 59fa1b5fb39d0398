//! x = a^-1 b by LU with partial pivoting, for each square a of a batch and b (n, columns). The
//! factors stay in lu and order as the op `lu` has them. A column without a pivot is reported.

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
    const scratch = matrices.scratchOf(task);
    const from = matrices.matrixAt(T, view, view, index);
    if (!matrices.copyFinite(T, task, index, .{ .from = from, .to = a, .columns = n })) return;
    const made = lu.factor(T, a, .{ .m = n, .n = n }, order, scratch);
    if (made.singular > 0) {
        _ = matrices.refuse(task, .matrix_singular, index, made.singular - 1);
        return;
    }
    const b = task.in(1);
    const columns = matrices.extents(b)[1];
    const right = matrices.matrixAt(T, b, b, index);
    lu.permute(T, order, right, .{ .data = x, .columns = columns });
    if (columns > 0) for (0..n) |i| {
        if (matrices.allFinite(T, x[i * columns ..][0..columns])) continue;
        _ = matrices.refuse(task, .matrix_not_finite, index, @intCast(order[i]));
        return;
    };
    lu.solve(T, a, .{ .data = x, .columns = columns }, scratch);
}
