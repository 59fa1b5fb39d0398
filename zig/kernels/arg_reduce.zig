//! y[i] = the first j at which x[i, j] is largest (`arg_max`) or smallest (`arg_min`): x (kept...,
//! n) by any strides, f32, f64 or i32; y (kept...) i32. What is not a number wins; of an empty row
//! the answer is 0. Units of work: spans of up to 1024 outputs.

const std = @import("std");
const reduce = @import("reduce.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub const Operation = enum { arg_max, arg_min };

/// The kernel of an operation, whose name is the op's.
pub fn kernel(comptime operation: Operation) task_types.Kernel {
    return struct {
        fn run(task: *const Task) callconv(.c) void {
            switch (task.in(0).dtype) {
                .f32 => walk(f32, operation, task),
                .f64 => walk(f64, operation, task),
                .i32 => walk(i32, operation, task),
                else => unreachable,
            }
        }
    }.run;
}

fn walk(comptime T: type, comptime operation: Operation, task: *const Task) void {
    const x = task.in(0);
    const y = task.out(0);
    const kept = reduce.axesOf(x, 0, y.rank);
    const outputs = strided.Walk(2).init(.{ &kept, y });
    const share = task.share(outputs.unitCount());
    for (share.start..share.end) |unit| {
        const span = outputs.span(unit);
        for (0..span.count) |i| {
            const index: i64 = @intCast(i);
            const row = strided.move(T, span.pointer(T, x, 0), index * span.strides[0]);
            const found = place(T, operation, row, x.dims[y.rank], x.strides[y.rank]);
            strided.move(i32, span.pointer(i32, y, 1), index * span.strides[1])[0] = found;
        }
    }
}

fn place(
    comptime T: type,
    comptime operation: Operation,
    row: [*]T,
    count: u32,
    stride: i64,
) i32 {
    if (count == 0) return 0;
    var best = row[0];
    var found: i32 = 0;
    for (1..count) |j| {
        if (T != i32 and best != best) return found;
        const value = strided.move(T, row, @as(i64, @intCast(j)) * stride)[0];
        const better = if (operation == .arg_max) value > best else value < best;
        if (better or (T != i32 and value != value)) {
            best = value;
            found = @intCast(j);
        }
    }
    return found;
}

const testing = @import("testing.zig");

test "arg_reduce: the first of equals, and what is not a number, along rows and columns" {
    const nan = std.math.nan(f32);
    var x = [_]f32{ 1, 3, 3, 2, -1, -1, 5, nan, nan };
    var y: [3]i32 = undefined;
    const out = testing.dense(i32, &y, &.{3});
    const rows = testing.dense(f32, &x, &.{ 3, 3 });
    try testing.runSplit(kernel(.arg_max), &.{rows}, &.{out}, {}, &.{std.mem.sliceAsBytes(&y)});
    try std.testing.expectEqual([3]i32{ 1, 0, 1 }, y);
    const columns = testing.strided(f32, &x, &.{ 3, 3 }, &.{ 1, 3 });
    _ = testing.run(kernel(.arg_min), &.{columns}, &.{out}, {}, .{});
    try std.testing.expectEqual([3]i32{ 0, 2, 2 }, y);
}
