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
        each(T)(&.{
            .x = .{
                @ptrCast(span.pointer(u8, views[0], 0)),
                @ptrCast(span.pointer(T, views[1], 1)),
                @ptrCast(span.pointer(T, views[2], 2)),
            },
            .x_strides = span.strides[0..3].*,
            .y = @ptrCast(span.pointer(T, views[3], 3)),
            .y_stride = span.strides[3],
            .count = span.count,
        });
    }
}

/// The choice on one span; `T` has the elements' size.
pub fn each(comptime T: type) strided.Each {
    return struct {
        fn run(piece: *const strided.Piece) void {
            const condition = piece.in(u8, 0);
            const strides = piece.x_strides;
            const y = piece.out(T);
            var done: usize = 0;
            if (strides[0] == 1 and piece.y_stride == 1 and piece.count >= lanes.width and
                strided.repeatsOrAdjoins(strides[1]) and strided.repeatsOrAdjoins(strides[2]))
            {
                const zero: @Vector(lanes.width, u8) = @splat(0);
                var rooms: [2][lanes.width]T = undefined;
                const left: strided.Lanes(T) = .of(piece.in(T, 1), strides[1], &rooms[0]);
                const right: strided.Lanes(T) = .of(piece.in(T, 2), strides[2], &rooms[1]);
                while (done + lanes.width <= piece.count) : (done += lanes.width) {
                    const mask = condition[done..][0..lanes.width].* != zero;
                    y[done..][0..lanes.width].* = @select(T, mask, left.at(done), right.at(done));
                }
            }
            for (done..piece.count) |i| {
                const index: i64 = @intCast(i);
                const wanted = strided.move(u8, condition, index * strides[0])[0] != 0;
                const left = strided.move(T, piece.in(T, 1), index * strides[1])[0];
                const right = strided.move(T, piece.in(T, 2), index * strides[2])[0];
                strided.move(T, y, index * piece.y_stride)[0] = if (wanted) left else right;
            }
        }
    }.run;
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
