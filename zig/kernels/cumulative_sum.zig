//! y[i, j] = x[i, 0] + ... + x[i, j] along the last axis: x, y (kept..., n) by any strides, one
//! dtype, f32 (summed in f64), f64 or i32 (wrapping). Units of work: rows.

const std = @import("std");
const reduce = @import("reduce.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.out(0).dtype) {
        .f32 => walk(f32, f64, task),
        .f64 => walk(f64, f64, task),
        .i32 => walk(i32, i32, task),
        else => unreachable,
    }
}

fn walk(comptime T: type, comptime Sum: type, task: *const Task) void {
    const x = task.in(0);
    const y = task.out(0);
    const last = x.rank - 1;
    const heads = [_]task_types.View{ reduce.axesOf(x, 0, last), reduce.axesOf(y, 0, last) };
    const rows = strided.Walk(2).init(.{ &heads[0], &heads[1] });
    const share = task.share(rows.unitCount());
    for (share.start..share.end) |unit| {
        const span = rows.span(unit);
        for (0..span.count) |i| {
            const index: i64 = @intCast(i);
            const from = strided.move(T, span.pointer(T, x, 0), index * span.strides[0]);
            const to = strided.move(T, span.pointer(T, y, 1), index * span.strides[1]);
            var sum: Sum = 0;
            for (0..x.dims[last]) |j| {
                const at: i64 = @intCast(j);
                const term = strided.move(T, from, at * x.strides[last])[0];
                if (T == i32) sum +%= term else sum += term;
                const value: T = if (T == f32) @floatCast(sum) else sum;
                strided.move(T, to, at * y.strides[last])[0] = value;
            }
        }
    }
}

const testing = @import("testing.zig");

test "cumulative_sum: along rows and columns, integers wrap" {
    var x = [_]f32{ 1, 2, 3, 4, 5, 6 };
    var y: [6]f32 = undefined;
    const bytes = [_][]u8{std.mem.sliceAsBytes(&y)};
    const rows = testing.dense(f32, &x, &.{ 2, 3 });
    const out = testing.dense(f32, &y, &.{ 2, 3 });
    try testing.runSplit(run, &.{rows}, &.{out}, {}, &bytes);
    try std.testing.expectEqual([6]f32{ 1, 3, 6, 4, 9, 15 }, y);
    const columns = testing.strided(f32, &x, &.{ 3, 2 }, &.{ 1, 3 });
    const turned = testing.strided(f32, &y, &.{ 3, 2 }, &.{ 1, 3 });
    try testing.runSplit(run, &.{columns}, &.{turned}, {}, &bytes);
    try std.testing.expectEqual([6]f32{ 1, 2, 3, 5, 7, 9 }, y);
    var whole = [_]i32{ std.math.maxInt(i32), 1 };
    const line = testing.dense(i32, &whole, &.{2});
    _ = testing.run(run, &.{line}, &.{line}, {}, .{});
    try std.testing.expectEqual(@as(i32, std.math.minInt(i32)), whole[1]);
}
