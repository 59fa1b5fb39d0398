//! y = 0 but for a part of it, which is x: x (any extents) by any strides, y without gaps, one
//! dtype of any kind. Element i of x goes to element `offset` + i * `strides` of y: the adjoint of
//! taking a view, and how padding is made. Each worker has a part of y: it clears it, then looks
//! for what of x belongs there.

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
    switch (task.out(0).dtype) {
        inline else => |dtype| walk(strided.Word(dtype), task),
    }
}

fn walk(comptime T: type, task: *const Task) void {
    const attrs = task.attr(Attrs);
    const x = task.in(0);
    const y = task.out(0);
    const whole = y.ptr(T)[0..y.elementCount()];
    const share = task.share(whole.len);
    if (share.start == share.end) return;
    @memset(whole[share.start..share.end], 0);
    var part = x.*;
    for (&part.strides, attrs.strides()) |*to, stride| to.* = stride;
    const spans = strided.Walk(2).init(.{ x, &part });
    for (0..spans.unitCount()) |unit| {
        const span = spans.span(unit);
        const mine = within(span, attrs.offset, share.start, share.end) orelse continue;
        const y_offset = @as(i64, attrs.offset) + mine.offsets[1];
        const from = mine.pointer(T, x, 0);
        strided.copySpan(T, from, strided.move(T, whole.ptr, y_offset), mine);
    }
}

/// The part of a span whose elements go to `[start, end)` of y; null when none does.
fn within(span: strided.Span(2), offset: u32, start: usize, end: usize) ?strided.Span(2) {
    const stride = span.strides[1];
    const first = @as(i64, offset) + span.offsets[1];
    const last = first + stride * (@as(i64, @intCast(span.count)) - 1);
    const from: i64 = @intCast(start);
    const to: i64 = @intCast(end);
    if (@max(first, last) < from or @min(first, last) >= to) return null;
    if (@min(first, last) >= from and @max(first, last) < to) return span;
    // Elements i with from <= first + i * stride < to; the stride is not 0 here.
    const step: i64 = @intCast(@abs(stride));
    const low = if (stride > 0) from - first else first - to + 1;
    const high = if (stride > 0) to - first else first - from + 1;
    const skipped = @max(0, @divFloor(low + step - 1, step));
    const kept = @min(@as(i64, @intCast(span.count)), @divFloor(high + step - 1, step));
    if (skipped >= kept) return null;
    var part = span;
    for (&part.offsets, part.strides) |*at, own| at.* += skipped * own;
    part.count = @intCast(kept - skipped);
    return part;
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

test "place: workers whose parts of the whole cut spans in two, in both directions" {
    var x: [700]f32 = undefined;
    for (&x, 0..) |*value, i| value.* = @floatFromInt(i + 1);
    var y: [3000]f32 = undefined;
    const from = testing.dense(f32, &x, &.{700});
    const to = testing.dense(f32, &y, &.{3000});
    for ([_]Attrs{
        .{ .offset = 5, .stride_0 = 4 },
        .{ .offset = 2900, .stride_0 = -3 },
        .{ .offset = 1000, .stride_0 = 1 },
    }) |attrs| {
        try testing.runSplit(run, &.{from}, &.{to}, attrs, &.{std.mem.sliceAsBytes(&y)});
        var sum: f64 = 0;
        for (y) |value| sum += value;
        try std.testing.expectEqual(@as(f64, 700 * 701 / 2), sum);
        for (x, 0..) |value, i| {
            const at = @as(i64, attrs.offset) + @as(i64, attrs.stride_0) * @as(i64, @intCast(i));
            try std.testing.expectEqual(value, y[@intCast(at)]);
        }
    }
}
