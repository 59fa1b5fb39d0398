//! a = q r for each (m, n) matrix of a batch, q (m, width) with orthonormal columns, r (width, n)
//! upper triangular; width is min(m, n), or m for a square q. `work` is room to work in.

const matrices = @import("matrices.zig");
const qr = @import("../linalg/qr.zig");
const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const batch = matrices.batchOf(view);
    const m, const n = matrices.extents(view);
    const work = matrices.partAt(T, task.out(2), index, batch);
    const from = matrices.matrixAt(T, view, view, index);
    const copy = work[0 .. m * n];
    if (!matrices.copyFinite(T, task, index, .{ .from = from, .to = copy, .columns = n })) return;
    qr.factor(
        T,
        .{ .m = m, .n = n, .width = matrices.extents(task.out(0))[1] },
        .{
            .q = matrices.partAt(T, task.out(0), index, batch),
            .r = matrices.partAt(T, task.out(1), index, batch),
        },
        work,
        matrices.scratchOf(task),
    );
}
