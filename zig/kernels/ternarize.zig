//! Float weights to ternary ones:
//! codes[n, k] = clip(round_half_even(w[n, k] * (1 / scale)), -1, 1).
//!
//! Inputs: w (N, K) f32, f16 or bf16 of any alignment, scale f32 (1). Output: codes (N, K), i8
//! rows, tile2 or tile3. Rounding half to even sends exactly +-0.5 to 0, so a code is
//! (v > 0.5) - (v < -0.5); what is not a number becomes 0. Units of work: rows, or 32 rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const pack_tiles = @import("pack_tiles.zig");
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
    const rows: Rows(T) = .{ .w = w, .inverse = lanes.splat(1 / task.in(1).ptr(f32)[0]) };
    if (task.out(0).layout != .strided) return pack_tiles.packRows(task, task.out(0), rows);
    const share = task.share(w.dims[0]);
    for (share.start..share.end) |n| rows.round(i8, 0, n, 0, task.out(0).row(i8, n));
}

fn Rows(comptime T: type) type {
    return struct {
        w: *const View,
        inverse: lanes.F32,

        /// Codes of a row plus one.
        pub fn read(rows: @This(), row: usize, column: usize, codes: []u8) void {
            rows.round(u8, 1, row, column, codes);
        }

        inline fn round(
            rows: @This(),
            comptime Code: type,
            comptime plus: i8,
            row: usize,
            column: usize,
            codes: []Code,
        ) void {
            const offset = @as(i64, @intCast(row)) * rows.w.strides[0];
            const source = rows.w.loose(T) + @as(usize, @intCast(offset)) + column;
            const more: Codes = @splat(plus);
            var k: usize = 0;
            while (k + width <= codes.len) : (k += width) {
                const rounded = roundOne(lanes.load(T, source + k) * rows.inverse) + more;
                codes[k..][0..width].* = @as(@Vector(width, Code), @bitCast(rounded));
            }
            if (k == codes.len) return;
            const left = lanes.loadTail(T, source + k, codes.len - k) * rows.inverse;
            const last: [width]Code = @bitCast(roundOne(left) + more);
            @memcpy(codes[k..], last[0 .. codes.len - k]);
        }
    };
}

inline fn roundOne(v: lanes.F32) Codes {
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
