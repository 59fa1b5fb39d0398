//! a = u diag(s) vt for each (m, n) matrix of a batch: s sorted, largest first; u has 0, min(m, n)
//! or m columns, vt 0, min(m, n) or n rows. `work` is room to work in. Values that do not converge,
//! which no finite matrix is known to do, are reported.

const matrices = @import("matrices.zig");
const svd = @import("../linalg/svd.zig");
const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const batch = matrices.batchOf(view);
    const m, const n = matrices.extents(view);
    const out: svd.Svd(T).Out = .{
        .s = matrices.partAt(T, task.out(0), index, batch),
        .u = matrices.partAt(T, task.out(1), index, batch),
        .vt = matrices.partAt(T, task.out(2), index, batch),
    };
    const work = matrices.partAt(T, task.out(3), index, batch);
    const a = matrices.matrixAt(T, view, view, index);
    const tall = m >= n;
    const turned = if (tall) a else a.transposed();
    if (!matrices.copyFinite(T, task, index, .{
        .from = turned,
        .to = work[0 .. m * n],
        .columns = @min(m, n),
    })) return;
    const extent: svd.Extent = .{
        .m = m,
        .n = n,
        .u_columns = matrices.extents(task.out(1))[1],
        .v_rows = matrices.extents(task.out(2))[0],
    };
    if (svd.Svd(T).factor(extent, out, work, matrices.scratchOf(task))) return;
    _ = matrices.refuse(task, .matrix_not_converged, index, 0);
}
