//! y[l] = x[rows[l]].
//!
//! x: f32 (R, D) rows; rows: i32 (L); y: f32 (L, D) rows. An index outside [0, R) is a fault.
//! Units of work: rows of y.

const std = @import("std");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const rows = task.in(1);
    const share = task.share(rows.dims[0]);
    for (share.start..share.end) |index| {
        const row = strided.item(i32, rows, index);
        if (row < 0 or row >= x.dims[0]) {
            task.fail(.row_out_of_range, row);
            continue;
        }
        @memcpy(task.out(0).row(f32, index), x.row(f32, @intCast(row)));
    }
}

const testing = @import("testing.zig");

test "gather_rows: takes rows, and reports the one that is not there" {
    var x = [_]f32{ 1, 2, 3, 4, 5, 6 };
    var rows = [_]i32{ 2, 0 };
    var y: [4]f32 = undefined;
    const inputs = [_]task_types.View{
        testing.dense(f32, &x, &.{ 3, 2 }),
        testing.dense(i32, &rows, &.{2}),
    };
    const outputs = [_]task_types.View{testing.dense(f32, &y, &.{ 2, 2 })};
    try testing.runSplit(run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&y)});
    try std.testing.expectEqual([_]f32{ 5, 6, 1, 2 }, y);
    for ([_]i32{ 3, -1 }) |bad| {
        rows[0] = bad;
        const outcome = testing.run(run, &inputs, &outputs, {}, .{});
        try std.testing.expectEqual(task_types.FaultCode.row_out_of_range, outcome.code);
        try std.testing.expectEqual(@as(i64, bad), outcome.detail);
    }
}
