//! y[r] = table[ids[r]] as f32.
//!
//! ids: i32 (R). table: (V, D) f32, f16 or bf16 of any alignment, or q8_0, q4_0, q4_k, q6_k blocks.
//! y: f32 (R, D) rows. An id outside [0, V) is a fault. Units of work: rows.

const std = @import("std");
const blocks = @import("blocks.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub fn run(task: *const Task) callconv(.c) void {
    const ids = task.in(0);
    const table = task.in(1);
    const share = task.share(ids.dims[0]);
    for (share.start..share.end) |index| {
        const id = strided.item(i32, ids, index);
        if (id < 0 or id >= table.dims[0]) {
            task.fail(.token_out_of_range, id);
            continue;
        }
        blocks.decode(table, @intCast(id), 0, task.out(0).row(f32, index));
    }
}

const testing = @import("testing.zig");

test "embedding: takes rows of a table, and reports the id it lacks" {
    const lanes = @import("lanes.zig");
    const Bf16 = lanes.Bf16;
    var table: [10 * 35]Bf16 = undefined;
    testing.fillNormal(Bf16, &table, 1, 1);
    var ids = [_]i32{ 3, 0, 9, 3 };
    var y: [4 * 35]f32 = undefined;
    const inputs = [_]task_types.View{
        testing.dense(i32, &ids, &.{4}),
        testing.dense(Bf16, &table, &.{ 10, 35 }),
    };
    const outputs = [_]task_types.View{testing.dense(f32, &y, &.{ 4, 35 })};
    try testing.runSplit(run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&y)});
    for (ids, 0..) |id, r| for (0..35) |i| {
        const want = lanes.toF32(Bf16, table[@as(usize, @intCast(id)) * 35 + i]);
        try std.testing.expectEqual(want, y[r * 35 + i]);
    };
    for ([_]i32{ 10, -1 }) |bad| {
        ids[1] = bad;
        const outcome = testing.run(run, &inputs, &outputs, {}, .{});
        try std.testing.expectEqual(task_types.FaultCode.token_out_of_range, outcome.code);
        try std.testing.expectEqual(@as(i64, bad), outcome.detail);
    }
}

test "embedding: takes rows of q8_0 blocks" {
    var bytes: [3 * 2 * 34]u8 = undefined;
    for (&bytes, 0..) |*byte, i| byte.* = @truncate(i);
    for (0..6) |block| bytes[block * 34 ..][0..2].* = .{ 0, 0x38 };
    var ids = [_]i32{2};
    var y: [64]f32 = undefined;
    const inputs = [_]task_types.View{
        testing.dense(i32, &ids, &.{1}),
        testing.packedRows(.q8_0, &bytes, 3, 64),
    };
    _ = testing.run(run, &inputs, &.{testing.dense(f32, &y, &.{ 1, 64 })}, {}, .{});
    const first: i8 = @bitCast(bytes[4 * 34 + 2]);
    try std.testing.expectEqual(@as(f32, @floatFromInt(first)) * 0.5, y[0]);
}
