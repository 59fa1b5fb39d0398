//! y = x[0], x[1], ... one behind the other along an axis: equal extents but for that axis, one
//! dtype of any kind, any strides. Units of work: spans of up to 1024 elements of a part.

const std = @import("std");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;

pub const Attrs = extern struct { axis: u32 };

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.out(0).dtype) {
        inline else => |dtype| walk(strided.Word(dtype), task),
    }
}

fn walk(comptime T: type, task: *const Task) void {
    const axis = task.attr(Attrs).axis;
    // Units of the parts before: workers take turns, so that small parts are shared out as well.
    var done: usize = 0;
    var part = task.out(0).*;
    for (0..task.input_count) |index| {
        const x = task.in(index);
        part.dims[axis] = x.dims[axis];
        const spans = strided.Walk(2).init(.{ x, &part });
        const own = shareOf(task, spans.unitCount(), &done);
        for (own.start..own.end) |unit| {
            const span = spans.span(unit);
            strided.copySpan(T, span.pointer(T, x, 0), span.pointer(T, &part, 1), span);
        }
        const reach = @as(i64, x.dims[axis]) * part.strides[axis];
        part.data = @ptrCast(strided.move(T, part.ptr(T), reach));
    }
}

/// This worker's units of a part: its share of a large one, or all of every so many-th small one.
fn shareOf(task: *const Task, count: usize, done: *usize) task_types.Units.Range {
    if (count >= task.worker_count) {
        const share = task.share(count);
        return .{ .start = share.start, .end = share.end };
    }
    done.* += 1;
    const end = if (done.* % task.worker_count == task.worker) count else 0;
    return .{ .start = 0, .end = end };
}

const testing = @import("testing.zig");

test "concat: parts of any strides along any axis, empty ones too, however the work is split" {
    var x: [6]f32 = .{ 1, 2, 3, 4, 5, 6 };
    var z: [2]f32 = .{ 7, 8 };
    var y: [8]f32 = undefined;
    const bytes = [_][]u8{std.mem.sliceAsBytes(&y)};
    const turned = testing.strided(f32, &x, &.{ 2, 3 }, &.{ 1, 2 });
    const column = testing.dense(f32, &z, &.{ 2, 1 });
    const none = testing.dense(f32, z[0..0], &.{ 2, 0 });
    const wide = testing.dense(f32, &y, &.{ 2, 4 });
    const inputs = [_]View{ turned, none, column };
    try testing.runSplit(run, &inputs, &.{wide}, Attrs{ .axis = 1 }, &bytes);
    try std.testing.expectEqual([8]f32{ 1, 3, 5, 7, 2, 4, 6, 8 }, y);
    const rows = [_]View{ testing.dense(f32, &z, &.{ 1, 2 }), testing.dense(f32, &x, &.{ 3, 2 }) };
    const tall = testing.dense(f32, &y, &.{ 4, 2 });
    try testing.runSplit(run, &rows, &.{tall}, Attrs{ .axis = 0 }, &bytes);
    try std.testing.expectEqual([8]f32{ 7, 8, 1, 2, 3, 4, 5, 6 }, y);
}
