//! y[m] = x[index[m]] along the first axis: x (N, inner...) and y (M, inner...) by any strides, one
//! dtype of any kind; index i32 (M). A negative index counts from the end; one outside is a fault.
//! Units of work: rows of y.

const std = @import("std");
const reduce = @import("reduce.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.out(0).dtype) {
        inline else => |dtype| walk(strided.Word(dtype), task),
    }
}

/// The row that an index means, or null after reporting it.
pub inline fn rowOf(task: *const Task, index: i32, count: u32) ?i64 {
    const row = if (index < 0) @as(i64, index) + count else index;
    if (row >= 0 and row < count) return row;
    task.fail(.row_out_of_range, index);
    return null;
}

fn walk(comptime T: type, task: *const Task) void {
    const x = task.in(0);
    const index = task.in(1);
    const y = task.out(0);
    const inner = [_]task_types.View{ reduce.axesOf(x, 1, x.rank), reduce.axesOf(y, 1, y.rank) };
    const spans = strided.Walk(2).init(.{ &inner[0], &inner[1] });
    const share = task.share(y.dims[0]);
    for (share.start..share.end) |m| {
        const wanted = strided.item(i32, index, m);
        const row = rowOf(task, wanted, x.dims[0]) orelse continue;
        const from = strided.move(T, x.ptr(T), row * x.strides[0]);
        const to = strided.move(T, y.ptr(T), @as(i64, @intCast(m)) * y.strides[0]);
        for (0..spans.unitCount()) |unit| {
            const span = spans.span(unit);
            const source = strided.move(T, from, span.offsets[0]);
            const target = strided.move(T, to, span.offsets[1]);
            strided.copySpan(T, source, target, span);
        }
    }
}

const testing = @import("testing.zig");

test "take: rows of any strides, from the end too, and a fault for what is not there" {
    var x = [_]f32{ 1, 2, 3, 4, 5, 6 };
    var index = [_]i32{ 2, 0, -1 };
    var y: [6]f32 = undefined;
    const columns = testing.strided(f32, &x, &.{ 3, 2 }, &.{ 1, 3 });
    const inputs = [_]task_types.View{ columns, testing.dense(i32, &index, &.{3}) };
    const outputs = [_]task_types.View{testing.dense(f32, &y, &.{ 3, 2 })};
    try testing.runSplit(run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&y)});
    try std.testing.expectEqual([_]f32{ 3, 6, 1, 4, 3, 6 }, y);
    for ([_]i32{ 3, -4 }) |bad| {
        index[1] = bad;
        const outcome = testing.run(run, &inputs, &outputs, {}, .{});
        try std.testing.expectEqual(task_types.FaultCode.row_out_of_range, outcome.code);
        try std.testing.expectEqual(@as(i64, bad), outcome.detail);
    }
}
