//! cos[r, i] and sin[r, i] of the angle f32(pos[r]) * inv_freq[i], times `scale`.
//!
//! pos: i32 (R); inv_freq: f32 (h); cos, sin: f32 (R, h) rows. The f32 angle is reduced in f64 by
//! multiples of pi / 2, so results stay below 1e-9 of the truth for |angle| <= 1e6 and round to f32
//! once. A negative position is a fault. Units of work: rows.

const std = @import("std");
const functions = @import("functions.zig");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const F64 = functions.F64;

pub const Attrs = extern struct { scale: f32 };

pub fn run(task: *const Task) callconv(.c) void {
    const positions = task.in(0);
    const inv_freq = task.in(1).ptr(f32)[0..task.in(1).dims[0]];
    const scale: F64 = @splat(task.attr(Attrs).scale);
    const share = task.share(positions.dims[0]);
    for (share.start..share.end) |index| {
        const position = strided.item(i32, positions, index);
        if (position < 0) {
            task.fail(.position_out_of_range, position);
            continue;
        }
        const cos = task.out(0).row(f32, index);
        const sin = task.out(1).row(f32, index);
        const factor = lanes.splat(@floatFromInt(position));
        var i: usize = 0;
        while (i < inv_freq.len) : (i += lanes.width) {
            const left = inv_freq.len - i;
            const angle = factor * lanes.loadUpTo(f32, inv_freq.ptr + i, left);
            const both = cosSin(angle);
            lanes.storeUpTo(f32, cos.ptr + i, @floatCast(both.cos * scale), left);
            lanes.storeUpTo(f32, sin.ptr + i, @floatCast(both.sin * scale), left);
        }
    }
}

/// pi / 2 in two parts; a multiple of the first below 2^20 is exact.
/// Source: netlib.org/fdlibm, e_rem_pio2.c, constants only.
const half_pi_upper: f64 = 1.57079632673412561417e+00;
const half_pi_lower: f64 = 6.07710050650619224932e-11;

/// Taylor terms of (sin r) / r and cos r in powers of r^2: below 1e-13 for |r| <= pi / 4.
const sin_terms = functions.reciprocals(8, 1);
const cos_terms = functions.reciprocals(9, 0);

inline fn cosSin(angle: lanes.F32) functions.SinCos {
    const x: F64 = angle;
    const magic: F64 = @splat(functions.round_magic);
    const shifted = x * @as(F64, @splat(functions.two_over_pi)) + magic;
    const n = shifted - magic;
    const r = (x - n * @as(F64, @splat(half_pi_upper))) - n * @as(F64, @splat(half_pi_lower));
    return functions.sinCosNear(&sin_terms, &cos_terms, r, shifted);
}

const testing = @import("testing.zig");

test "cosSin: within 1e-9 of the truth up to a million, and almost always its rounding" {
    var missed: usize = 0;
    var random = std.Random.DefaultPrng.init(1);
    for (0..20000) |i| {
        const reach: f32 = if (i % 2 == 0) 10 else 1e6;
        const angle = (random.random().float(f32) * 2 - 1) * reach;
        const got = cosSin(lanes.splat(angle));
        const cos = @cos(@as(f64, angle));
        const sin = @sin(@as(f64, angle));
        try std.testing.expect(@abs(got.cos[3] - cos) < 1e-9);
        try std.testing.expect(@abs(got.sin[3] - sin) < 1e-9);
        if (@as(f32, @floatCast(got.cos[3])) != @as(f32, @floatCast(cos))) missed += 1;
        if (@as(f32, @floatCast(got.sin[3])) != @as(f32, @floatCast(sin))) missed += 1;
    }
    try std.testing.expect(missed < 5);
}

test "rope_angles: fills rows with a tail, scaled, however the work is split" {
    const h = 20;
    var positions = [_]i32{ 0, 1, 4095, 131071 };
    var inv_freq: [h]f32 = undefined;
    for (&inv_freq, 0..) |*f, i| f.* = std.math.pow(f32, 500000, -@as(f32, @floatFromInt(i)) / h);
    var cos: [4 * h]f32 = undefined;
    var sin: [4 * h]f32 = undefined;
    const inputs = [_]task_types.View{
        testing.dense(i32, &positions, &.{4}),
        testing.dense(f32, &inv_freq, &.{h}),
    };
    const outputs = [_]task_types.View{
        testing.dense(f32, &cos, &.{ 4, h }),
        testing.dense(f32, &sin, &.{ 4, h }),
    };
    const bytes = [_][]u8{ std.mem.sliceAsBytes(&cos), std.mem.sliceAsBytes(&sin) };
    try testing.runSplit(run, &inputs, &outputs, Attrs{ .scale = 1.5 }, &bytes);
    for (positions, 0..) |position, r| for (inv_freq, 0..) |f, i| {
        const angle: f64 = @as(f32, @floatFromInt(position)) * f;
        try testing.expectNear(@cos(angle) * 1.5, cos[r * h + i], 1e-7);
        try testing.expectNear(@sin(angle) * 1.5, sin[r * h + i], 1e-7);
    };
}

test "rope_angles: refuses a negative position" {
    var positions = [_]i32{ 2, -3 };
    var inv_freq = [_]f32{1};
    var angles: [4]f32 = undefined;
    const inputs = [_]task_types.View{
        testing.dense(i32, &positions, &.{2}),
        testing.dense(f32, &inv_freq, &.{1}),
    };
    const outputs = [_]task_types.View{
        testing.dense(f32, angles[0..2], &.{ 2, 1 }),
        testing.dense(f32, angles[2..4], &.{ 2, 1 }),
    };
    const outcome = testing.run(run, &inputs, &outputs, Attrs{ .scale = 1 }, .{});
    try std.testing.expectEqual(task_types.FaultCode.position_out_of_range, outcome.code);
    try std.testing.expectEqual(@as(i64, -3), outcome.detail);
}
