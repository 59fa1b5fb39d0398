//! x = a^-1 b for each lower or upper triangular a (n, n) of a batch and b (n, columns); the other
//! triangle is not read, nor the diagonal where it is taken as 1. A zero on the diagonal makes x
//! not finite.

const matrices = @import("matrices.zig");
const triangular = @import("../linalg/triangular.zig");
const Task = @import("task.zig").Task;

pub const Attrs = extern struct { lower: u32, unit: u32 };

pub fn run(task: *const Task) callconv(.c) void {
    matrices.forEach(task, one);
}

fn one(comptime T: type, task: *const Task, index: usize) void {
    const view = task.in(0);
    const b = task.in(1);
    const n, const columns = matrices.extents(b);
    const attrs = task.attr(Attrs);
    const x = matrices.partAt(T, task.out(0), index, matrices.batchOf(view));
    _ = matrices.copyFinite(T, matrices.matrixAt(T, b, b, index), x, columns);
    triangular.solve(
        T,
        .{ .lower = attrs.lower != 0, .unit = attrs.unit != 0 },
        matrices.matrixAt(T, view, view, index),
        .{ .data = x, .rows = n, .columns = columns },
        matrices.scratchOf(task),
    );
}
