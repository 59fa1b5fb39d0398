//! y[.., i] = e^(x[.., i] - m) / sum_j e^(x[.., j] - m), with m the largest x of the row.
//!
//! x, y: f32 (.., D), two axes or more, rows of adjacent elements; y may be the memory of x. Units
//! of work: rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const reduce = @import("reduce.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const y = task.out(0);
    const last = x.rank - 1;
    const heads = [_]task_types.View{ reduce.axesOf(x, 0, last), reduce.axesOf(y, 0, last) };
    const rows = strided.Walk(2).initCut(.{ &heads[0], &heads[1] }, 1);
    const share = task.share(rows.unitCount());
    for (share.start..share.end) |unit| {
        const row = rows.span(unit);
        const count = x.dims[last];
        softmax(row.pointer(f32, x, 0)[0..count], row.pointer(f32, y, 1)[0..count]);
    }
}

fn softmax(x: []const f32, y: []f32) void {
    const largest = lanes.splat(largestOf(x));
    var sum = lanes.zero;
    var i: usize = 0;
    while (i < x.len) : (i += lanes.width) {
        const left = x.len - i;
        const power = lanes.exp(lanes.loadUpTo(f32, x.ptr + i, left) - largest);
        lanes.storeUpTo(f32, y.ptr + i, power, left);
        sum += if (left >= lanes.width) power else lanes.loadTail(f32, y.ptr + i, left);
    }
    const total = lanes.splat(lanes.fold(sum));
    i = 0;
    while (i < x.len) : (i += lanes.width) {
        const left = x.len - i;
        const power = lanes.loadUpTo(f32, y.ptr + i, left);
        lanes.storeUpTo(f32, y.ptr + i, power / total, left);
    }
}

fn largestOf(x: []const f32) f32 {
    var largest = lanes.splat(-std.math.inf(f32));
    var i: usize = 0;
    while (i + lanes.width <= x.len) : (i += lanes.width) {
        largest = lanes.max(lanes.load(f32, x.ptr + i), largest);
    }
    var result = lanes.foldMax(largest);
    for (x[i..]) |value| result = if (value > result) value else result;
    return result;
}

const testing = @import("testing.zig");

test "softmax: equals f64 to 1e-6, rows of every remainder, however the work is split" {
    for ([_]u32{ 1, 5, 16, 67, 300 }) |cols| {
        var x: [5 * 320]f32 = undefined;
        var y: [5 * 320]f32 = undefined;
        testing.fillNormal(f32, &x, cols, 10);
        const inputs = [_]task_types.View{testing.strided(f32, &x, &.{ 5, cols }, &.{ 320, 1 })};
        const outputs = [_]task_types.View{testing.strided(f32, &y, &.{ 5, cols }, &.{ 320, 1 })};
        try testing.runSplit(run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&y)});
        for (0..5) |r| {
            const row = x[r * 320 ..][0..cols];
            var sum: f64 = 0;
            for (row) |value| sum += @exp(@as(f64, value));
            for (row, y[r * 320 ..][0..cols]) |value, got| {
                try testing.expectNear(@exp(@as(f64, value)) / sum, got, 1e-6);
            }
        }
    }
}

test "softmax: rows along the last of three axes, the others by any strides" {
    var x: [2 * 3 * 4]f32 = undefined;
    testing.fillNormal(f32, &x, 5, 1);
    var y: [2 * 3 * 4]f32 = undefined;
    var want: [2 * 3 * 4]f32 = undefined;
    _ = testing.run(run, &.{testing.dense(f32, &x, &.{ 6, 4 })}, &.{
        testing.dense(f32, &want, &.{ 6, 4 }),
    }, {}, .{});
    const turned = testing.strided(f32, &x, &.{ 3, 2, 4 }, &.{ 4, 12, 1 });
    try testing.runSplit(run, &.{turned}, &.{testing.dense(f32, &y, &.{ 3, 2, 4 })}, {}, &.{
        std.mem.sliceAsBytes(&y),
    });
    for (0..3) |first| {
        for (0..2) |second| {
            const got = y[(first * 2 + second) * 4 ..][0..4];
            try std.testing.expectEqualSlices(f32, want[(second * 3 + first) * 4 ..][0..4], got);
        }
    }
}

test "softmax: masked elements become 0, and large ones do not overflow" {
    var x = [_]f32{ 1000, -std.math.inf(f32), 1000, -1000 };
    const view = testing.dense(f32, &x, &.{ 1, 4 });
    _ = testing.run(run, &.{view}, &.{view}, {}, .{});
    try std.testing.expectEqual([_]f32{ 0.5, 0, 0.5, 0 }, x);
}
