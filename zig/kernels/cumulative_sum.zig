//! y[i, j] = x[i, 0] + ... + x[i, j] along the last axis: x, y (kept..., n) by any strides, one
//! dtype, f32 (summed in f64), f64 or i32 (wrapping). Sixteen elements of f32 and i32 at a time are
//! added to those 1, 2, 4 and 8 places on, and to the sum before them; f64 one by one. Units of
//! work: rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const reduce = @import("reduce.zig");
const strided = @import("strided.zig");
const width = lanes.width;
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
    const rows = strided.Walk(2).initCut(.{ &heads[0], &heads[1] }, 1);
    const share = task.share(rows.unitCount());
    for (share.start..share.end) |unit| {
        const span = rows.span(unit);
        for (0..span.count) |i| {
            const index: i64 = @intCast(i);
            const from = strided.move(T, span.pointer(T, x, 0), index * span.strides[0]);
            const to = strided.move(T, span.pointer(T, y, 1), index * span.strides[1]);
            var sum: Sum = 0;
            var done: usize = 0;
            if (T != f64 and x.strides[last] == 1 and y.strides[last] == 1) {
                done = x.dims[last] / width * width;
                sum = scan(T, Sum, from[0..done], to);
            }
            for (done..x.dims[last]) |j| {
                const at: i64 = @intCast(j);
                const term = strided.move(T, from, at * x.strides[last])[0];
                if (T == i32) sum +%= term else sum += term;
                const value: T = if (T == f32) @floatCast(sum) else sum;
                strided.move(T, to, at * y.strides[last])[0] = value;
            }
        }
    }
}

/// Running sums of whole vectors; gives the last one.
fn scan(comptime T: type, comptime Sum: type, x: []const T, y: [*]T) Sum {
    const Sums = @Vector(width, Sum);
    var carried: Sums = @splat(0);
    var i: usize = 0;
    while (i < x.len) : (i += width) {
        var sums: Sums = @as(@Vector(width, T), x[i..][0..width].*);
        inline for (.{ 1, 2, 4, 8 }) |step| {
            const moved = @shuffle(Sum, sums, @as(Sums, @splat(0)), movedBy(step));
            if (T == i32) sums +%= moved else sums += moved;
        }
        if (T == i32) sums +%= carried else sums += carried;
        y[i..][0..width].* = if (T == f32) @as(@Vector(width, f32), @floatCast(sums)) else sums;
        carried = @splat(sums[width - 1]);
    }
    return carried[0];
}

/// Each lane takes the one `step` before it, the first ones 0.
fn movedBy(step: i32) @Vector(width, i32) {
    var places: [width]i32 = undefined;
    for (&places, 0..) |*place, i| {
        const from = @as(i32, @intCast(i)) - step;
        place.* = if (from >= 0) from else -1;
    }
    return places;
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
