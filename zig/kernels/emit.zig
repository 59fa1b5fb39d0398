//! Hands the tokens of a step to the host: ring[step, s] = token[s].
//!
//! The ring has a row for every step of a run, so nothing is overwritten while it is read.

const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    const token = task.in(0); // i32 (sequences)
    const ring = task.out(0); // i32 (steps, sequences)
    if (task.step >= ring.dims[0]) return task.fail(.row_out_of_range, @intCast(task.step));
    const tokens = token.ptr(i32);
    const row = ring.row(i32, @intCast(task.step));
    const share = task.share(token.dims[0]);
    for (share.start..share.end) |s| row[s] = tokens[s];
}

const std = @import("std");
const testing = @import("testing.zig");

test "emit: writes the row of its step, and refuses a step beyond the ring" {
    const tokens = [_]i32{ 5, 6, 7 };
    var ring: [6]i32 = @splat(-1);
    const inputs = [_]@import("task.zig").View{testing.dense(i32, &tokens, &.{3})};
    const outputs = [_]@import("task.zig").View{testing.dense(i32, &ring, &.{ 2, 3 })};
    const last = testing.run(&run, &inputs, &outputs, {}, .{ .step = 1, .worker_count = 2 });
    try std.testing.expectEqual(.none, last.code);
    try std.testing.expectEqual([_]i32{ -1, -1, -1, 5, 6, 7 }, ring);
    const beyond = testing.run(&run, &inputs, &outputs, {}, .{ .step = 2 });
    try std.testing.expectEqual(.row_out_of_range, beyond.code);
    try std.testing.expectEqual(2, beyond.detail);
    try std.testing.expectEqual([_]i32{ -1, -1, -1, 5, 6, 7 }, ring);
}
