//! y[r, i] = gamma[i] * (x[r, i] * (1 / sqrt(mean_j x[r, j]^2 + eps))).
//!
//! x, y: f32 (R, D) rows; gamma: f32 (D). y may be the memory of x. Units of work: rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub const Attrs = extern struct { eps: f32 };

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const gamma = task.in(1).ptr(f32)[0..x.dims[1]];
    const eps = task.attr(Attrs).eps;
    const share = task.share(x.dims[0]);
    for (share.start..share.end) |index| {
        const row = x.row(f32, index);
        const y = task.out(0).row(f32, index);
        const factor = factorOf(row, eps);
        var i: usize = 0;
        while (i < row.len) : (i += lanes.width) {
            lanes.storeUpTo(f32, y.ptr + i, normalized(row, gamma, factor, i), row.len - i);
        }
    }
}

/// 1 / sqrt(mean of squares + eps).
pub fn factorOf(x: []const f32, eps: f32) f32 {
    const sum = lanes.dot(f32, x.ptr, x.ptr, x.len);
    const mean = sum / @as(f32, @floatFromInt(x.len));
    return 1 / @sqrt(mean + eps);
}

/// Up to sixteen normalized elements from column `i`; lanes behind the row are 0.
pub inline fn normalized(x: []const f32, gamma: []const f32, factor: f32, i: usize) lanes.F32 {
    const left = x.len - i;
    const scaled = lanes.loadUpTo(f32, x.ptr + i, left) * lanes.splat(factor);
    return lanes.loadUpTo(f32, gamma.ptr + i, left) * scaled;
}

const testing = @import("testing.zig");

test "rms_norm: equals f64 to 1e-6, for rows of every remainder, however the work is split" {
    for ([_]u32{ 1, 15, 16, 100, 2560 }) |cols| {
        var x: [3 * 2600]f32 = undefined;
        var y: [3 * 2600]f32 = undefined;
        var gamma: [2560]f32 = undefined;
        testing.fillNormal(f32, &x, cols, 3);
        testing.fillNormal(f32, &gamma, 2, 1);
        const inputs = [_]task_types.View{
            testing.strided(f32, &x, &.{ 3, cols }, &.{ 2600, 1 }),
            testing.dense(f32, gamma[0..cols], &.{cols}),
        };
        const outputs = [_]task_types.View{testing.strided(f32, &y, &.{ 3, cols }, &.{ 2600, 1 })};
        const attrs = Attrs{ .eps = 1e-5 };
        try testing.runSplit(run, &inputs, &outputs, attrs, &.{std.mem.sliceAsBytes(&y)});
        for (0..3) |r| {
            var sum: f64 = 0;
            for (x[r * 2600 ..][0..cols]) |value| sum += @as(f64, value) * value;
            const factor = 1 / @sqrt(sum / @as(f64, @floatFromInt(cols)) + 1e-5);
            for (0..cols) |i| {
                const want = @as(f64, gamma[i]) * x[r * 2600 + i] * factor;
                try testing.expectNear(want, y[r * 2600 + i], 1e-6);
            }
        }
    }
}
