//! What the choice of a ternary scale needs to know of a weight matrix, row by row:
//! stats[n] = (sum_k |w[n,k]|, max_k |w[n,k]|, min_k |w[n,k]| over k with w[n,k] != 0).
//!
//! Input: w (N, K) f32, f16 or bf16 of any alignment. Output: stats f64 (N, 3). The sum runs in
//! sixteen f64 lanes, lane i over columns i, 16 + i, ..., folded by halves; the minimum of a row of
//! zeros is infinity. What is not a number shows in the sum alone. Workers take rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const width = lanes.width;
const F64 = @Vector(width, f64);
const infinity = lanes.splat(std.math.inf(f32));

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
    const share = task.share(w.dims[0]);
    for (share.start..share.end) |n| {
        const offset = @as(i64, @intCast(n)) * w.strides[0];
        const source = w.loose(T) + @as(usize, @intCast(offset));
        task.out(0).row(f64, n)[0..3].* = rowStats(T, source, w.dims[1]);
    }
}

fn rowStats(comptime T: type, source: [*]align(1) const T, columns: usize) [3]f64 {
    var sums: F64 = @splat(0);
    var largest = lanes.zero;
    var smallest = infinity;
    var k: usize = 0;
    while (k < columns) : (k += width) {
        const v = if (k + width <= columns)
            lanes.load(T, source + k)
        else
            lanes.loadTail(T, source + k, columns - k);
        const magnitude = @abs(v);
        sums += magnitude;
        largest = lanes.max(magnitude, largest);
        smallest = lanes.min(@select(f32, magnitude > lanes.zero, magnitude, infinity), smallest);
    }
    return .{ foldSum(sums), lanes.foldMax(largest), -lanes.foldMax(-smallest) };
}

fn foldSum(sums: F64) f64 {
    const eight = std.simd.extract(sums, 0, 8) + std.simd.extract(sums, 8, 8);
    const four = std.simd.extract(eight, 0, 4) + std.simd.extract(eight, 4, 4);
    const two = std.simd.extract(four, 0, 2) + std.simd.extract(four, 2, 2);
    return two[0] + two[1];
}

const testing = @import("testing.zig");

fn check(comptime T: type) !void {
    var w: [3 * 41]T = undefined;
    testing.fillNormal(T, &w, 5, 0.05);
    for (w[41..][0..37]) |*value| value.* = lanes.fromF32(T, 0);
    w[3] = lanes.fromF32(T, 0);
    w[36] = lanes.fromF32(T, -7);
    var stats: [9]f64 = undefined;
    const inputs = [_]View{testing.strided(T, &w, &.{ 3, 37 }, &.{ 41, 1 })};
    const outputs = [_]View{testing.dense(f64, &stats, &.{ 3, 3 })};
    try testing.runSplit(&run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&stats)});
    for (0..3) |n| {
        var sum: f64 = 0;
        var largest: f64 = 0;
        var smallest = std.math.inf(f64);
        for (w[n * 41 ..][0..37]) |value| {
            const magnitude: f64 = @abs(lanes.toF32(T, value));
            sum += magnitude;
            largest = @max(largest, magnitude);
            if (magnitude > 0) smallest = @min(smallest, magnitude);
        }
        try std.testing.expectApproxEqRel(sum, stats[n * 3], 1e-14);
        try std.testing.expectEqual(largest, stats[n * 3 + 1]);
        try std.testing.expectEqual(smallest, stats[n * 3 + 2]);
    }
}

test "abs_stats: sum, largest and smallest nonzero magnitude of rows, for every dtype" {
    try check(f32);
    try check(f16);
    try check(lanes.Bf16);
}
