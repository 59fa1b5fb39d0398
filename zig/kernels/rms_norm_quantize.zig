//! q, a = quantize_rows(rms_norm(x, gamma)) with 127 levels, bit-equal to the two ops in turn.
//!
//! x: f32 (R, D) rows; gamma: f32 (D). q: i8 (R, D) rows; a: f32 (R). The normalized row is
//! computed twice rather than kept. Units of work: rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const quantize_rows = @import("quantize_rows.zig");
const rms_norm = @import("rms_norm.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub const Attrs = rms_norm.Attrs;

const levels = 127;

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const gamma = task.in(1).ptr(f32)[0..x.dims[1]];
    const eps = task.attr(Attrs).eps;
    const share = task.share(x.dims[0]);
    for (share.start..share.end) |index| {
        const q = task.out(0).row(i8, index);
        task.out(1).ptr(f32)[index] = quantizeRow(x.row(f32, index), gamma, eps, q);
    }
}

/// Fills `q` and gives the row's factor a.
fn quantizeRow(x: []const f32, gamma: []const f32, eps: f32, q: []i8) f32 {
    const factor = rms_norm.factorOf(x, eps);
    var largest = lanes.zero;
    var i: usize = 0;
    while (i < x.len) : (i += lanes.width) {
        largest = lanes.max(@abs(rms_norm.normalized(x, gamma, factor, i)), largest);
    }
    const a = quantize_rows.factorOf(lanes.foldMax(largest), levels);
    i = 0;
    while (i < x.len) : (i += lanes.width) {
        const y = rms_norm.normalized(x, gamma, factor, i);
        quantize_rows.storeQuantized(i8, q.ptr + i, y, a, levels, x.len - i);
    }
    return a;
}

const testing = @import("testing.zig");

test "rms_norm_quantize: equals rms_norm, then quantize_rows, bit for bit" {
    for ([_]u32{ 7, 64, 2500 }) |cols| {
        var x: [4 * 2500]f32 = undefined;
        var gamma: [2500]f32 = undefined;
        testing.fillNormal(f32, &x, cols, 2);
        testing.fillNormal(f32, &gamma, 9, 1);
        const rows = testing.dense(f32, x[0 .. 4 * cols], &.{ 4, cols });
        const weights = testing.dense(f32, gamma[0..cols], &.{cols});
        var q: [2][4 * 2500]i8 = undefined;
        var a: [2][4]f32 = undefined;
        const fused = [_]task_types.View{
            testing.dense(i8, q[0][0 .. 4 * cols], &.{ 4, cols }),
            testing.dense(f32, &a[0], &.{4}),
        };
        const bytes = [_][]u8{ std.mem.sliceAsBytes(&q[0]), std.mem.sliceAsBytes(&a[0]) };
        const attrs = Attrs{ .eps = 1e-5 };
        try testing.runSplit(run, &.{ rows, weights }, &fused, attrs, &bytes);
        var y: [4 * 2500]f32 = undefined;
        const normalized = testing.dense(f32, y[0 .. 4 * cols], &.{ 4, cols });
        _ = testing.run(rms_norm.run, &.{ rows, weights }, &.{normalized}, attrs, .{});
        const apart = [_]task_types.View{
            testing.dense(i8, q[1][0 .. 4 * cols], &.{ 4, cols }),
            testing.dense(f32, &a[1], &.{4}),
        };
        const quantize_attrs = quantize_rows.Attrs{ .levels = levels };
        _ = testing.run(quantize_rows.run, &.{normalized}, &apart, quantize_attrs, .{});
        try std.testing.expectEqualSlices(i8, q[1][0 .. 4 * cols], q[0][0 .. 4 * cols]);
        try std.testing.expectEqual(a[1], a[0]);
    }
}
