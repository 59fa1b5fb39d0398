//! Float weights to ternary codes:
//! codes[n, k] = clip(round_half_even(w[n, k] * (1 / scale)), -1, 1).
//!
//! Inputs: w (N, K) f32, f16 or bf16 of any alignment, scale f32 (1). Output: codes i8 (N, K).
//! Rounding half to even sends exactly +-0.5 to 0, so a code is (v > 0.5) - (v < -0.5); what is
//! not a number becomes 0. Workers take rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const width = lanes.width;
const Codes = @Vector(width, i8);

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.in(0).dtype) {
        .f32 => runTyped(f32, task),
        .f16 => runTyped(f16, task),
        .bf16 => runTyped(lanes.Bf16, task),
        else => unreachable,
    }
}

fn runTyped(comptime T: type, task: *const Task) void {
    const w = task.in(0);
    const columns = w.dims[1];
    const inverse = lanes.splat(1 / task.in(1).ptr(f32)[0]);
    const share = task.share(w.dims[0]);
    for (share.start..share.end) |n| {
        const offset = @as(i64, @intCast(n)) * w.strides[0];
        const source = w.loose(T) + @as(usize, @intCast(offset));
        const codes = task.out(0).row(i8, n);
        var k: usize = 0;
        while (k + width <= columns) : (k += width) {
            codes[k..][0..width].* = round(lanes.load(T, source + k) * inverse);
        }
        if (k == columns) continue;
        const last: [width]i8 = round(lanes.loadTail(T, source + k, columns - k) * inverse);
        @memcpy(codes[k..], last[0 .. columns - k]);
    }
}

inline fn round(v: lanes.F32) Codes {
    const one: Codes = @splat(1);
    const none: Codes = @splat(0);
    const positive = @select(i8, v > lanes.splat(0.5), one, none);
    const negative = @select(i8, v < lanes.splat(-0.5), one, none);
    return positive - negative;
}

const testing = @import("testing.zig");

fn check(comptime T: type) !void {
    var w: [3 * 41]T = undefined;
    testing.fillNormal(T, &w, 3, 0.05);
    for ([_]f32{ 0.02, -0.02, 0.06, -0.06, 1e9, -1e9, std.math.nan(f32), 0 }, 0..) |value, i| {
        w[i] = lanes.fromF32(T, value);
    }
    const scale = [_]f32{0.04};
    var codes: [3 * 37]i8 = undefined;
    const inputs = [_]View{
        testing.strided(T, &w, &.{ 3, 37 }, &.{ 41, 1 }),
        testing.dense(f32, &scale, &.{1}),
    };
    const outputs = [_]View{testing.dense(i8, &codes, &.{ 3, 37 })};
    try testing.runSplit(&run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&codes)});
    const inverse: f32 = 1.0 / 0.04;
    for (0..3) |n| for (0..37) |k| {
        const v = lanes.toF32(T, w[n * 41 + k]) * inverse;
        const magnitude: i8 = if (@abs(v) > 0.5) 1 else 0;
        const want = if (v < 0) -magnitude else magnitude;
        try std.testing.expectEqual(want, codes[n * 37 + k]);
    };
}

test "ternarize: codes follow the definition, ties go to zero, for every dtype" {
    try check(f32);
    try check(f16);
    try check(lanes.Bf16);
    const w = [_]f32{ 0.5, -0.5, 0.50000006, -0.50000006, 1.5, -1.5, 0.25, -0.0 };
    var codes: [8]i8 = undefined;
    const scale = [_]f32{1};
    const inputs = [_]View{ testing.dense(f32, &w, &.{ 1, 8 }), testing.dense(f32, &scale, &.{1}) };
    const outputs = [_]View{testing.dense(i8, &codes, &.{ 1, 8 })};
    try testing.runSplit(&run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&codes)});
    try std.testing.expectEqual([_]i8{ 0, 0, 1, -1, 1, -1, 0, 0 }, codes);
}
