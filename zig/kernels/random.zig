//! y = random numbers keyed by (seed, stream): `random_uniform` in [0, 1), `random_normal` with
//! mean 0 and deviation 1. key: u32 (4): seed low, seed high, stream low, stream high; y: f32 or
//! f64 without gaps.
//!
//! Elements 2i and 2i+1 come from block i of Philox, a multiple of 2^-53 each from two words (of
//! 2^-24 for f32); normals by Box and Muller's transform of such a pair. So every number depends on
//! its place alone, not on extents, workers or levels. Units of work: blocks of 1024.

const std = @import("std");
const functions = @import("functions.zig");
const philox = @import("philox.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub const Distribution = enum { random_uniform, random_normal };

const unit_size = 1024;

/// The kernel of a distribution, whose name is the op's.
pub fn kernel(comptime distribution: Distribution) task_types.Kernel {
    return struct {
        fn run(task: *const Task) callconv(.c) void {
            switch (task.out(0).dtype) {
                .f32 => fill(f32, distribution, task),
                .f64 => fill(f64, distribution, task),
                else => unreachable,
            }
        }
    }.run;
}

fn fill(comptime T: type, comptime distribution: Distribution, task: *const Task) void {
    const words = task.in(0);
    const key = [2]u32{ strided.item(u32, words, 0), strided.item(u32, words, 1) };
    const stream = [2]u32{ strided.item(u32, words, 2), strided.item(u32, words, 3) };
    const y = task.out(0).ptr(T)[0..task.out(0).elementCount()];
    const share = task.share(std.math.divCeil(usize, y.len, unit_size) catch unreachable);
    for (share.start..share.end) |unit| {
        var at = unit * unit_size;
        const end = @min(at + unit_size, y.len);
        while (at < end) : (at += functions.width) {
            const lane = draw(T, distribution, at / 2, key, stream);
            const count = @min(functions.width, end - at);
            for (y[at..][0..count], 0..) |*to, i| to.* = @floatCast(lane[i]);
        }
    }
}

/// Sixteen numbers from block `first` on.
inline fn draw(
    comptime T: type,
    comptime distribution: Distribution,
    first: usize,
    key: [2]u32,
    stream: [2]u32,
) [functions.width]f64 {
    var lane: [functions.width]f64 = undefined;
    for (0..functions.width / 2) |i| {
        const block: u64 = first + i;
        const counter = [4]u32{ @truncate(block), @truncate(block >> 32), stream[0], stream[1] };
        const bits = philox.block(counter, key);
        lane[2 * i] = fraction(T, bits[0], bits[1]);
        lane[2 * i + 1] = fraction(T, bits[2], bits[3]);
    }
    if (distribution == .random_uniform) return lane;
    // r = sqrt(-2 ln(1 - u)), angle = 2 pi v; the pair is r cos, r sin.
    var u: [functions.width]f64 = undefined;
    var v: [functions.width]f64 = undefined;
    for (0..functions.width / 2) |i| {
        u[2 * i] = 1 - lane[2 * i];
        u[2 * i + 1] = u[2 * i];
        v[2 * i] = lane[2 * i + 1];
        // sin a = cos(a - pi / 2): a quarter of a turn less.
        v[2 * i + 1] = lane[2 * i + 1] - 0.25;
    }
    const turn: functions.F64 = @splat(2 * std.math.pi);
    const minus_two: functions.F64 = @splat(-2);
    const radius = @sqrt(minus_two * functions.log(u));
    return radius * functions.cos(turn * @as(functions.F64, v));
}

/// A number in [0, 1) that T holds exactly.
inline fn fraction(comptime T: type, low: u32, high: u32) f64 {
    if (T == f32) return @as(f64, @floatFromInt(low >> 8)) * 0x1p-24;
    return philox.uniform(.{ low, high, 0, 0 });
}

const testing = @import("testing.zig");

test "random: moments, bounds, the same for any split, other streams differ" {
    const count = 20_001;
    var y: [count]f32 = undefined;
    var words = [_]u32{ 1, 2, 3, 4 };
    const key = testing.dense(u32, &words, &.{4});
    const out = testing.dense(f32, &y, &.{count});
    const bytes = [_][]u8{std.mem.sliceAsBytes(&y)};
    try testing.runSplit(kernel(.random_uniform), &.{key}, &.{out}, {}, &bytes);
    var sum: f64 = 0;
    for (y) |value| {
        try std.testing.expect(value >= 0 and value < 1);
        sum += value;
    }
    try std.testing.expectApproxEqAbs(@as(f64, 0.5), sum / count, 0.01);
    try testing.runSplit(kernel(.random_normal), &.{key}, &.{out}, {}, &bytes);
    const first = y[0];
    sum = 0;
    var squares: f64 = 0;
    var neighbours: f64 = 0;
    for (y, 0..) |value, i| {
        sum += value;
        squares += @as(f64, value) * value;
        neighbours += @as(f64, value) * y[(i + 1) % count];
    }
    try std.testing.expectApproxEqAbs(@as(f64, 0), sum / count, 0.03);
    try std.testing.expectApproxEqAbs(@as(f64, 1), squares / count, 0.04);
    try std.testing.expectApproxEqAbs(@as(f64, 0), neighbours / count, 0.03);
    words[2] = 9;
    _ = testing.run(kernel(.random_normal), &.{key}, &.{out}, {}, .{});
    try std.testing.expect(first != y[0]);
}
