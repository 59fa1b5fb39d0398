//! y = x, element by element over any strides, up to rank 6.
//!
//! x and y have equal extents. Equal dtypes of any kind are copied as they are; among f32, f16,
//! bf16, f64, i32, i8, u8 and bool values are cast (cast.zig): exactly or rounded half to even, and
//! clipped to what an integer holds. Units of work: spans of 1024.

const std = @import("std");
const cast = @import("cast.zig");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;
const Plain = cast.Plain;
const Piece = strided.Piece;

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const y = task.out(0);
    const spans = strided.Walk(2).init(.{ x, y });
    const share = task.share(spans.unitCount());
    for (share.start..share.end) |unit| {
        const span = spans.span(unit);
        each(x.dtype, y.dtype, &.{
            .x = .{ elementAt(x, span.offsets[0]), undefined, undefined },
            .x_strides = .{ span.strides[0], undefined, undefined },
            .y = elementAt(y, span.offsets[1]),
            .y_stride = span.strides[1],
            .count = span.count,
        });
    }
}

fn elementAt(view: *const View, offset: i64) [*]u8 {
    return strided.move(u8, view.data, offset * @as(i64, @intCast(sizeOf(view.dtype))));
}

fn sizeOf(dtype: task_types.DType) usize {
    return switch (dtype) {
        inline else => |one| @sizeOf(strided.Word(one)),
    };
}

/// One span of up to 1024 elements from dtype to dtype; they must not share memory unless the
/// dtypes are equal.
pub fn each(from: task_types.DType, to: task_types.DType, piece: *const Piece) void {
    if (from != to) return castPiece(from, to, piece);
    switch (sizeOf(from)) {
        inline 1, 2, 4, 8 => |size| {
            const T = std.meta.Int(.unsigned, 8 * size);
            const span: strided.Span(2) = .{
                .offsets = .{ 0, 0 },
                .strides = .{ piece.x_strides[0], piece.y_stride },
                .count = piece.count,
            };
            strided.copySpan(T, piece.in(T, 0), piece.out(T), span);
        },
        else => unreachable,
    }
}

/// Elements that are not adjacent are gathered before the cast, and scattered after.
fn castPiece(from: task_types.DType, to: task_types.DType, piece: *const Piece) void {
    var gathered: [cast.span_count_max * 8]u8 align(64) = undefined;
    var results: [cast.span_count_max * 8]u8 align(64) = undefined;
    var x = piece.x[0];
    if (piece.x_strides[0] != 1) {
        x = &gathered;
        each(from, from, &moved(piece, .{ .y = x }));
    }
    const scattered = piece.y_stride != 1;
    const y = if (scattered) &results else piece.y;
    const plain_from = Plain.of(from, .strided) orelse unreachable;
    const plain_to = Plain.of(to, .strided) orelse unreachable;
    cast.span(plain_from, plain_to, x, y, piece.count);
    if (scattered) each(to, to, &moved(piece, .{ .x = y }));
}

/// The same elements from or to adjacent memory.
fn moved(piece: *const Piece, place: struct { x: ?[*]u8 = null, y: ?[*]u8 = null }) Piece {
    var result = piece.*;
    if (place.x) |x| {
        result.x[0] = x;
        result.x_strides[0] = 1;
    }
    if (place.y) |y| {
        result.y = y;
        result.y_stride = 1;
    }
    return result;
}

const testing = @import("testing.zig");

test "copy: transposes, reverses and repeats" {
    var x: [6]i32 = .{ 1, 2, 3, 4, 5, 6 };
    var y: [6]i32 = undefined;
    const turned = testing.strided(i32, &x, &.{ 3, 2 }, &.{ 1, 3 });
    _ = testing.run(run, &.{turned}, &.{testing.dense(i32, &y, &.{ 3, 2 })}, {}, .{});
    try std.testing.expectEqual([_]i32{ 1, 4, 2, 5, 3, 6 }, y);
    const reversed = testing.strided(i32, x[5..].ptr, &.{6}, &.{-1});
    _ = testing.run(run, &.{reversed}, &.{testing.dense(i32, &y, &.{6})}, {}, .{});
    try std.testing.expectEqual([_]i32{ 6, 5, 4, 3, 2, 1 }, y);
    const repeated = testing.strided(i32, x[1..].ptr, &.{ 3, 2 }, &.{ 1, 0 });
    _ = testing.run(run, &.{repeated}, &.{testing.dense(i32, &y, &.{ 3, 2 })}, {}, .{});
    try std.testing.expectEqual([_]i32{ 2, 2, 3, 3, 4, 4 }, y);
}

test "copy: converts floats of adjacent and of strided elements alike, however the work is split" {
    var x: [3 * 2100]f32 = undefined;
    testing.fillNormal(f32, &x, 7, 100);
    var y: [3 * 2100]f16 = undefined;
    const plain = testing.dense(f32, &x, &.{ 3, 2100 });
    const out = testing.dense(f16, &y, &.{ 3, 2100 });
    try testing.runSplit(run, &.{plain}, &.{out}, {}, &.{std.mem.sliceAsBytes(&y)});
    for (x, y) |from, to| try std.testing.expectEqual(@as(f16, @floatCast(from)), to);
    var z: [3 * 2100]lanes.Bf16 = undefined;
    const columns = testing.strided(f16, &y, &.{ 2100, 3 }, &.{ 1, 2100 });
    const narrow = testing.dense(lanes.Bf16, &z, &.{ 2100, 3 });
    try testing.runSplit(run, &.{columns}, &.{narrow}, {}, &.{std.mem.sliceAsBytes(&z)});
    for (0..2100) |i| for (0..3) |j| {
        const want = lanes.fromF32(lanes.Bf16, y[j * 2100 + i]);
        try std.testing.expectEqual(want, z[i * 3 + j]);
    };
}

test "copy: every dtype to itself, bit for bit" {
    inline for (.{ f64, u32, i16, i8, u8, f16, lanes.Bf16 }) |T| {
        var x: [70]T = undefined;
        testing.fillInteger(u8, std.mem.sliceAsBytes(&x), 5, 0, 255);
        var y: [70]T = undefined;
        const dims = [_]u32{ 7, 10 };
        const out = testing.dense(T, &y, &dims);
        _ = testing.run(run, &.{testing.dense(T, &x, &dims)}, &.{out}, {}, .{});
        try std.testing.expectEqualSlices(u8, std.mem.asBytes(&x), std.mem.asBytes(&y));
    }
}

test "copy: casts between floats and integers, over strides as over adjacent elements" {
    const x = [_]f32{ 0.5, 1.5, -2.5, 300, -300, std.math.nan(f32) };
    var y: [6]i8 = undefined;
    const plain = testing.dense(f32, &x, &.{ 2, 3 });
    _ = testing.run(run, &.{plain}, &.{testing.dense(i8, &y, &.{ 2, 3 })}, {}, .{});
    try std.testing.expectEqual([_]i8{ 0, 2, -2, 127, -128, 0 }, y);
    const turned = testing.strided(i8, &y, &.{ 3, 2 }, &.{ 1, 3 });
    var z: [12]i32 = @splat(9);
    const out = testing.strided(i32, &z, &.{ 3, 2 }, &.{ 4, 2 });
    _ = testing.run(run, &.{turned}, &.{out}, {}, .{});
    try std.testing.expectEqual([_]i32{ 0, 9, 127, 9, 2, 9, -128, 9, -2, 9, 0, 9 }, z);
}
