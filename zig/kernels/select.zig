//! y = condition ? a : b, element by element over any strides; a stride of 0 repeats an operand.
//! condition: bool; a, b, y: one dtype of any kind. Units of work: spans of 1024.

const std = @import("std");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.out(0).dtype) {
        inline else => |dtype| walk(strided.Word(dtype), task),
    }
}

fn walk(comptime T: type, task: *const Task) void {
    const views = [_]*const task_types.View{ task.in(0), task.in(1), task.in(2), task.out(0) };
    const spans = strided.Walk(4).init(views);
    const share = task.share(spans.unitCount());
    for (share.start..share.end) |unit| {
        const span = spans.span(unit);
        const condition = span.pointer(u8, views[0], 0);
        const a = span.pointer(T, views[1], 1);
        const b = span.pointer(T, views[2], 2);
        const y = span.pointer(T, views[3], 3);
        var done: usize = 0;
        if (span.adjacent()) {
            const zero: @Vector(lanes.width, u8) = @splat(0);
            while (done + lanes.width <= span.count) : (done += lanes.width) {
                const left: @Vector(lanes.width, T) = a[done..][0..lanes.width].*;
                const right: @Vector(lanes.width, T) = b[done..][0..lanes.width].*;
                const mask = condition[done..][0..lanes.width].* != zero;
                y[done..][0..lanes.width].* = @select(T, mask, left, right);
            }
        }
        for (done..span.count) |i| {
            const index: i64 = @intCast(i);
            const wanted = strided.move(u8, condition, index * span.strides[0])[0] != 0;
            const left = strided.move(T, a, index * span.strides[1])[0];
            const right = strided.move(T, b, index * span.strides[2])[0];
            strided.move(T, y, index * span.strides[3])[0] = if (wanted) left else right;
        }
    }
}

const testing = @import("testing.zig");

test "select: takes by the condition, with repeated operands, however the work is split" {
    const dims = [_]u32{ 3, 1100 };
    var condition: [3 * 1100]bool = undefined;
    for (&condition, 0..) |*one, i| one.* = i % 3 == 0;
    var a: [3 * 1100]f32 = undefined;
    testing.fillNormal(f32, &a, 1, 1);
    var b: [1]f32 = .{7};
    var y: [3 * 1100]f32 = undefined;
    const inputs = [_]task_types.View{
        testing.dense(bool, &condition, &dims),
        testing.dense(f32, &a, &dims),
        testing.strided(f32, &b, &dims, &.{ 0, 0 }),
    };
    const out = testing.dense(f32, &y, &dims);
    try testing.runSplit(run, &inputs, &.{out}, {}, &.{std.mem.sliceAsBytes(&y)});
    for (y, 0..) |got, i| try std.testing.expectEqual(if (i % 3 == 0) a[i] else 7, got);
    const dense = [_]task_types.View{ inputs[0], inputs[1], inputs[1] };
    try testing.runSplit(run, &dense, &.{out}, {}, &.{std.mem.sliceAsBytes(&y)});
    try std.testing.expectEqualSlices(f32, &a, &y);
}
