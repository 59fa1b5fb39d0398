//! y = a + b, a - b, a * b, a / b over any strides; a stride of 0 repeats an operand.
//!
//! a, b and y have equal extents and one dtype, f32 or i32. Integers wrap; i32 division truncates
//! toward zero and gives 0 where the divisor is 0. y may be the memory of a or b.

const std = @import("std");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const Operation = enum { add, sub, mul, div };

pub fn add(task: *const Task) callconv(.c) void {
    run(.add, task);
}

pub fn sub(task: *const Task) callconv(.c) void {
    run(.sub, task);
}

pub fn mul(task: *const Task) callconv(.c) void {
    run(.mul, task);
}

pub fn div(task: *const Task) callconv(.c) void {
    run(.div, task);
}

fn run(comptime operation: Operation, task: *const Task) void {
    switch (task.out(0).dtype) {
        .f32 => walk(f32, operation, task),
        .i32 => walk(i32, operation, task),
        else => unreachable,
    }
}

fn walk(comptime T: type, comptime operation: Operation, task: *const Task) void {
    const views = [_]*const task_types.View{ task.in(0), task.in(1), task.out(0) };
    const spans = strided.Walk(3).init(views);
    const share = task.share(spans.unitCount());
    for (share.start..share.end) |unit| {
        const span = spans.span(unit);
        const a = span.pointer(T, views[0], 0);
        const b = span.pointer(T, views[1], 1);
        const y = span.pointer(T, views[2], 2);
        const vectors = span.strides[2] == 1 and repeatsOrAdjoins(span.strides[0]) and
            repeatsOrAdjoins(span.strides[1]);
        var done: usize = 0;
        if (vectors) {
            while (done + lanes.width <= span.count) : (done += lanes.width) {
                const left = vector(T, a, span.strides[0], done);
                const right = vector(T, b, span.strides[1], done);
                y[done..][0..lanes.width].* = apply(T, operation, left, right);
            }
        }
        for (done..span.count) |i| {
            const index: i64 = @intCast(i);
            const left = strided.move(T, a, index * span.strides[0])[0];
            const right = strided.move(T, b, index * span.strides[1])[0];
            const both = apply(T, operation, @splat(left), @splat(right));
            strided.move(T, y, index * span.strides[2])[0] = both[0];
        }
    }
}

fn repeatsOrAdjoins(stride: i64) bool {
    return stride == 0 or stride == 1;
}

inline fn vector(comptime T: type, x: [*]const T, stride: i64, i: usize) @Vector(lanes.width, T) {
    return if (stride == 0) @splat(x[0]) else x[i..][0..lanes.width].*;
}

inline fn apply(
    comptime T: type,
    comptime operation: Operation,
    a: @Vector(lanes.width, T),
    b: @Vector(lanes.width, T),
) @Vector(lanes.width, T) {
    if (T == i32) return switch (operation) {
        .add => a +% b,
        .sub => a -% b,
        .mul => a *% b,
        .div => divideIntegers(a, b),
    };
    return switch (operation) {
        .add => a + b,
        .sub => a - b,
        .mul => a * b,
        .div => a / b,
    };
}

/// The largest negative integer divided by -1 wraps to itself.
inline fn divideIntegers(a: lanes.I32, b: lanes.I32) lanes.I32 {
    const none: lanes.I32 = @splat(0);
    const negated = b == @as(lanes.I32, @splat(-1));
    const unsafe = @select(bool, negated, negated, b == none);
    const divisor = @select(i32, unsafe, @as(lanes.I32, @splat(1)), b);
    const quotient = @divTrunc(a, divisor);
    const wrapped = @select(i32, negated, none -% a, quotient);
    return @select(i32, b == none, none, wrapped);
}

const testing = @import("testing.zig");

test "elementwise: f32 with a repeated row and a repeated column, however the work is split" {
    var a: [3 * 1500]f32 = undefined;
    var row: [1500]f32 = undefined;
    var column: [3]f32 = undefined;
    var y: [3 * 1500]f32 = undefined;
    testing.fillNormal(f32, &a, 1, 1);
    testing.fillNormal(f32, &row, 2, 1);
    testing.fillNormal(f32, &column, 3, 1);
    const dims = [_]u32{ 3, 1500 };
    const whole = testing.dense(f32, &a, &dims);
    const out = testing.dense(f32, &y, &dims);
    const bytes = [_][]u8{std.mem.sliceAsBytes(&y)};
    const rows = testing.strided(f32, &row, &dims, &.{ 0, 1 });
    try testing.runSplit(sub, &.{ whole, rows }, &.{out}, {}, &bytes);
    for (y, 0..) |got, i| try std.testing.expectEqual(a[i] - row[i % 1500], got);
    const columns = testing.strided(f32, &column, &dims, &.{ 1, 0 });
    try testing.runSplit(div, &.{ columns, whole }, &.{out}, {}, &bytes);
    for (y, 0..) |got, i| try std.testing.expectEqual(column[i / 1500] / a[i], got);
    const turned = testing.strided(f32, &a, &.{ 1500, 3 }, &.{ 1, 1500 });
    const tall = testing.dense(f32, &y, &.{ 1500, 3 });
    try testing.runSplit(mul, &.{ turned, turned }, &.{tall}, {}, &bytes);
    for (y, 0..) |got, i| {
        const x = a[i % 3 * 1500 + i / 3];
        try std.testing.expectEqual(x * x, got);
    }
}

test "elementwise: i32 wraps, division truncates and by zero gives 0" {
    const least = std.math.minInt(i32);
    var a = [_]i32{ 7, -7, least, least, 5, std.math.maxInt(i32) } ** 3;
    var b = [_]i32{ 2, 2, -1, 0, 0, 2 } ** 3;
    var y: [18]i32 = undefined;
    const inputs = [_]task_types.View{
        testing.dense(i32, &a, &.{18}),
        testing.dense(i32, &b, &.{18}),
    };
    const out = testing.dense(i32, &y, &.{18});
    _ = testing.run(div, &inputs, &.{out}, {}, .{});
    const quotients = [_]i32{ 3, -3, least, 0, 0, std.math.maxInt(i32) / 2 } ** 3;
    try std.testing.expectEqual(quotients, y);
    _ = testing.run(add, &inputs, &.{out}, {}, .{});
    const sums = [_]i32{ 9, -5, std.math.maxInt(i32), least, 5, least + 1 } ** 3;
    try std.testing.expectEqual(sums, y);
    _ = testing.run(mul, &inputs, &.{out}, {}, .{});
    try std.testing.expectEqual([_]i32{ 14, -14, least, 0, 0, -2 } ** 3, y);
}

test "elementwise: an operand without elements is left alone" {
    var x: [1]f32 = .{3};
    const none = testing.dense(f32, x[0..0], &.{ 0, 4 });
    _ = testing.run(add, &.{ none, none }, &.{none}, {}, .{});
    try std.testing.expectEqual(@as(f32, 3), x[0]);
}
