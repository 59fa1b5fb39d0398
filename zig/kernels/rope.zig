//! Rotates pairs (i, i + hd / 2) of each head by the angles of its row:
//! y[i] = x[i] * cos[i] - x[i + hd/2] * sin[i], y[i + hd/2] = x[i + hd/2] * cos[i] + x[i] * sin[i].
//!
//! x, y: f32 (R, H, hd), adjacent within a head; cos, sin: f32 (R, hd / 2) rows. y may be the
//! memory of x. Units of work: heads of rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const y = task.out(0);
    const head_count: usize = x.dims[1];
    const half = x.dims[2] / 2;
    const share = task.share(x.dims[0] * head_count);
    for (share.start..share.end) |unit| {
        const index = unit / head_count;
        const head = unit % head_count;
        rotate(
            strided.at(f32, x, index, head)[0 .. 2 * half],
            task.in(1).row(f32, index)[0..half],
            task.in(2).row(f32, index)[0..half],
            strided.at(f32, y, index, head)[0 .. 2 * half],
        );
    }
}

fn rotate(x: []const f32, cos: []const f32, sin: []const f32, y: []f32) void {
    const half = cos.len;
    var i: usize = 0;
    while (i < half) : (i += lanes.width) {
        const left = half - i;
        const c = lanes.loadUpTo(f32, cos.ptr + i, left);
        const s = lanes.loadUpTo(f32, sin.ptr + i, left);
        const a = lanes.loadUpTo(f32, x.ptr + i, left);
        const b = lanes.loadUpTo(f32, x.ptr + half + i, left);
        lanes.storeUpTo(f32, y.ptr + i, a * c - b * s, left);
        lanes.storeUpTo(f32, y.ptr + half + i, b * c + a * s, left);
    }
}

const testing = @import("testing.zig");

test "rope: rotates heads in slices of a wider buffer, in place too, however the work is split" {
    for ([_]u32{ 8, 40, 128 }) |hd| {
        const stride = 3 * 128 + 7;
        var x: [2 * stride]f32 = undefined;
        var y: [2 * stride]f32 = undefined;
        var angles: [2][2 * 64]f32 = undefined;
        testing.fillNormal(f32, &x, hd, 1);
        testing.fillNormal(f32, &angles[0], 2, 1);
        testing.fillNormal(f32, &angles[1], 3, 1);
        const half = hd / 2;
        const strides = [_]i64{ stride, hd, 1 };
        const inputs = [_]task_types.View{
            testing.strided(f32, &x, &.{ 2, 3, hd }, &strides),
            testing.dense(f32, angles[0][0..hd], &.{ 2, half }),
            testing.dense(f32, angles[1][0..hd], &.{ 2, half }),
        };
        const outputs = [_]task_types.View{testing.strided(f32, &y, &.{ 2, 3, hd }, &strides)};
        try testing.runSplit(run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&y)});
        for (0..2) |r| for (0..3) |head| for (0..half) |i| {
            const at = r * stride + head * hd + i;
            const c = angles[0][r * half + i];
            const s = angles[1][r * half + i];
            try std.testing.expectEqual(x[at] * c - x[at + half] * s, y[at]);
            try std.testing.expectEqual(x[at + half] * c + x[at] * s, y[at + half]);
        };
        _ = testing.run(run, &inputs, inputs[0..1], {}, .{});
        for (0..2) |r| {
            const from = r * stride;
            const used = 3 * hd;
            try std.testing.expectEqualSlices(f32, y[from..][0..used], x[from..][0..used]);
        }
    }
}
