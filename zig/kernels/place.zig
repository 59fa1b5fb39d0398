//! y = 0 but for a part of it, which is x: x (any extents) by any strides, y without gaps, one
//! dtype of any kind. Element i of x goes to element `offset` + i * `strides` of y: the adjoint of
//! taking a view, and how padding is made. The first worker does it all.

const std = @import("std");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

/// In elements of y.
pub const Attrs = extern struct {
    offset: u32,
    stride_0: i32 = 0,
    stride_1: i32 = 0,
    stride_2: i32 = 0,
    stride_3: i32 = 0,
    stride_4: i32 = 0,
    stride_5: i32 = 0,

    fn strides(attrs: Attrs) [task_types.rank_max]i32 {
        return .{
            attrs.stride_0,
            attrs.stride_1,
            attrs.stride_2,
            attrs.stride_3,
            attrs.stride_4,
            attrs.stride_5,
        };
    }
};

pub fn run(task: *const Task) callconv(.c) void {
    if (task.worker != 0) return;
    switch (task.out(0).dtype) {
        inline else => |dtype| walk(strided.Word(dtype), task),
    }
}

fn walk(comptime T: type, task: *const Task) void {
    const attrs = task.attr(Attrs);
    const x = task.in(0);
    const y = task.out(0);
    const whole = y.ptr(T)[0..y.elementCount()];
    @memset(whole, 0);
    var part = x.*;
    part.data = @ptrCast(whole.ptr + attrs.offset);
    for (&part.strides, attrs.strides()) |*to, stride| to.* = stride;
    const spans = strided.Walk(2).init(.{ x, &part });
    for (0..spans.unitCount()) |unit| {
        const span = spans.span(unit);
        strided.copySpan(T, span.pointer(T, x, 0), span.pointer(T, &part, 1), span);
    }
}

const testing = @import("testing.zig");

test "place: every other column backwards, zeros elsewhere" {
    var x = [_]f32{ 1, 2, 3, 4 };
    var y: [10]f32 = undefined;
    const from = testing.dense(f32, &x, &.{ 2, 2 });
    const to = testing.dense(f32, &y, &.{ 2, 5 });
    const attrs: Attrs = .{ .offset = 3, .stride_0 = 5, .stride_1 = -2 };
    try testing.runSplit(run, &.{from}, &.{to}, attrs, &.{std.mem.sliceAsBytes(&y)});
    try std.testing.expectEqual([_]f32{ 0, 2, 0, 1, 0, 0, 4, 0, 3, 0 }, y);
}
