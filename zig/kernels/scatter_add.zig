//! y = base, then y[index[m]] += x[m] along the first axis, m in rising order: base, y (N,
//! inner...) and x (M, inner...) by any strides, one dtype, f32, f64 or i32 (wrapping); index i32
//! (M). A negative index counts from the end; one outside is a fault. y may be the memory of base.
//!
//! Every worker reads all indices and adds to the rows of its own share, so that the order of the
//! additions is the same for any number of workers. Units of work: rows of y.

const std = @import("std");
const reduce = @import("reduce.zig");
const strided = @import("strided.zig");
const take = @import("take.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.out(0).dtype) {
        .f32 => walk(f32, task),
        .f64 => walk(f64, task),
        .i32 => walk(i32, task),
        else => unreachable,
    }
}

fn walk(comptime T: type, task: *const Task) void {
    const base = task.in(0);
    const index = task.in(1);
    const x = task.in(2);
    const y = task.out(0);
    const share = task.share(y.dims[0]);
    const rows = [_]View{ inner(base), inner(x), inner(y) };
    const copies = strided.Walk(2).init(.{ &rows[0], &rows[2] });
    for (share.start..share.end) |n| {
        const row: i64 = @intCast(n);
        const from = strided.move(T, base.ptr(T), row * base.strides[0]);
        each(T, false, &copies, from, strided.move(T, y.ptr(T), row * y.strides[0]));
    }
    const sums = strided.Walk(2).init(.{ &rows[1], &rows[2] });
    for (0..x.dims[0]) |m| {
        const row = take.rowOf(task, strided.item(i32, index, m), y.dims[0]) orelse continue;
        if (row < share.start or row >= share.end) continue;
        const from = strided.move(T, x.ptr(T), @as(i64, @intCast(m)) * x.strides[0]);
        each(T, true, &sums, from, strided.move(T, y.ptr(T), row * y.strides[0]));
    }
}

fn inner(view: *const View) View {
    return reduce.axesOf(view, 1, view.rank);
}

/// to = from, or to += from, over one row.
fn each(
    comptime T: type,
    comptime adds: bool,
    spans: *const strided.Walk(2),
    from: [*]T,
    to: [*]T,
) void {
    for (0..spans.unitCount()) |unit| {
        const span = spans.span(unit);
        if (!adds) {
            const source = strided.move(T, from, span.offsets[0]);
            strided.copySpan(T, source, strided.move(T, to, span.offsets[1]), span);
            continue;
        }
        for (0..span.count) |i| {
            const at: i64 = @intCast(i);
            const source = strided.move(T, from, span.offsets[0] + at * span.strides[0]);
            const target = strided.move(T, to, span.offsets[1] + at * span.strides[1]);
            if (T == i32) target[0] +%= source[0] else target[0] += source[0];
        }
    }
}

const testing = @import("testing.zig");

test "scatter_add: adds repeated rows in order, keeps the others, reports what is not there" {
    var base = [_]f32{ 10, 20, 30, 40, 50, 60 };
    var x = [_]f32{ 1, 2, 3, 4, 5, 6 };
    var index = [_]i32{ 2, 0, -1 };
    var y: [6]f32 = undefined;
    const inputs = [_]View{
        testing.dense(f32, &base, &.{ 3, 2 }),
        testing.dense(i32, &index, &.{3}),
        testing.dense(f32, &x, &.{ 3, 2 }),
    };
    const outputs = [_]View{testing.dense(f32, &y, &.{ 3, 2 })};
    try testing.runSplit(run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&y)});
    try std.testing.expectEqual([_]f32{ 13, 24, 30, 40, 56, 68 }, y);
    index[0] = 3;
    const outcome = testing.run(run, &inputs, &outputs, {}, .{});
    try std.testing.expectEqual(task_types.FaultCode.row_out_of_range, outcome.code);
}
