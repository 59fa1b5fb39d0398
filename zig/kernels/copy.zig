//! y = x, element by element over any strides, up to rank 6.
//!
//! x and y have equal extents. Equal dtypes of any kind are copied as they are; among f32, f16 and
//! bf16 values are converted, exactly or rounded half to even. Units of work: spans of 1024.

const std = @import("std");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const DType = task_types.DType;
const Span = strided.Span(2);

pub fn run(task: *const Task) callconv(.c) void {
    const from = task.in(0).dtype;
    const to = task.out(0).dtype;
    if (from == to) return switch (from) {
        .f64 => walk(u64, u64, task),
        .f32, .i32, .u32 => walk(u32, u32, task),
        .f16, .bf16, .i16 => walk(u16, u16, task),
        .i8, .u8, .bool => walk(u8, u8, task),
    };
    switch (from) {
        inline .f32, .f16, .bf16 => |source| switch (to) {
            inline .f32, .f16, .bf16 => |target| if (source != target) {
                walk(Float(source), Float(target), task);
            },
            else => unreachable,
        },
        else => unreachable,
    }
}

fn Float(comptime dtype: DType) type {
    return switch (dtype) {
        .f32 => f32,
        .f16 => f16,
        .bf16 => lanes.Bf16,
        else => unreachable,
    };
}

fn walk(comptime From: type, comptime To: type, task: *const Task) void {
    const x = task.in(0);
    const y = task.out(0);
    const spans = strided.Walk(2).init(.{ x, y });
    const share = task.share(spans.unitCount());
    for (share.start..share.end) |unit| {
        const span = spans.span(unit);
        copySpan(From, To, span.pointer(From, x, 0), span.pointer(To, y, 1), span);
    }
}

fn copySpan(comptime From: type, comptime To: type, x: [*]From, y: [*]To, span: Span) void {
    if (span.adjacent()) {
        if (From == To) return @memmove(y[0..span.count], x[0..span.count]);
        var i: usize = 0;
        while (i < span.count) : (i += lanes.width) {
            const left = span.count - i;
            lanes.storeUpTo(To, y + i, lanes.loadUpTo(From, x + i, left), left);
        }
        return;
    }
    for (0..span.count) |i| {
        const index: i64 = @intCast(i);
        const value = strided.move(From, x, index * span.strides[0])[0];
        const target = strided.move(To, y, index * span.strides[1]);
        target[0] = if (From == To) value else lanes.fromF32(To, lanes.toF32(From, value));
    }
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
