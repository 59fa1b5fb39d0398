//! a = u diag(s) vt for each (m, n) matrix of a batch: s sorted, largest first; u has 0, min(m, n)
//! or m columns, vt 0, min(m, n) or n rows. info (..., 2) is 0, or 1 where an element of a is not
//! finite: then all results are NaN. `work` is room to work in.

const std = @import("std");
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
    const info = matrices.partAt(i32, task.out(3), index, batch);
    const work = matrices.partAt(T, task.out(4), index, batch);
    const a = matrices.matrixAt(T, view, view, index);
    const tall = m >= n;
    const turned = if (tall) a else a.transposed();
    const finite = matrices.copyFinite(T, turned, work[0 .. m * n], @min(m, n));
    const extent: svd.Extent = .{
        .m = m,
        .n = n,
        .u_columns = matrices.extents(task.out(1))[1],
        .v_rows = matrices.extents(task.out(2))[0],
    };
    const ok = finite and svd.Svd(T).factor(extent, out, work, matrices.scratchOf(task));
    if (!ok) {
        for ([_][]T{ out.s, out.u, out.vt }) |values| @memset(values, std.math.nan(T));
    }
    info[0] = @intFromBool(!ok);
    info[1] = 0;
}
