//! Ends sequences at their stop tokens: done'[s] = done[s] or token[s] in stops[s, ..].
//!
//! A negative stop token is an empty place. When every sequence is done the run ends after this
//! step. Worker 0 alone looks at all sequences for that, and only at inputs.

const std = @import("std");
const Task = @import("task.zig").Task;

pub fn run(task: *const Task) callconv(.c) void {
    const sequence_count = task.in(0).dims[0];
    const done_next = task.out(0).ptr(i32); // (sequences)
    const share = task.share(sequence_count);
    for (share.start..share.end) |s| done_next[s] = @intFromBool(isDone(task, s));

    if (task.worker != 0 or sequence_count == 0) return;
    for (0..sequence_count) |s| {
        if (!isDone(task, s)) return;
    }
    @atomicStore(u32, task.stop, 1, .monotonic);
}

fn isDone(task: *const Task, s: usize) bool {
    const token = task.in(0).ptr(i32)[s]; // i32 (sequences)
    const stops = task.in(1).row(i32, s); // i32 (sequences, stops)
    const done = task.in(2).ptr(i32)[s]; // i32 (sequences)
    if (done != 0) return true;
    return token >= 0 and std.mem.indexOfScalar(i32, stops, token) != null;
}

const testing = @import("testing.zig");

fn expectDone(done: [3]i32, want: [3]i32, want_stop: u32) !void {
    const token = [_]i32{ 4, 8, 0 };
    const stops = [_]i32{ 4, -1, 9, 7, -1, 0 };
    for ([_]u32{ 1, 2, 3, 5 }) |worker_count| {
        var done_next: [3]i32 = @splat(-5);
        const outcome = testing.run(&run, &.{
            testing.dense(i32, &token, &.{3}),
            testing.dense(i32, &stops, &.{ 3, 2 }),
            testing.dense(i32, &done, &.{3}),
        }, &.{testing.dense(i32, &done_next, &.{3})}, {}, .{ .worker_count = worker_count });
        try std.testing.expectEqual(want, done_next);
        try std.testing.expectEqual(want_stop, outcome.stop);
    }
}

test "stop_when: a sequence stays done, and the run stops when the last one is" {
    try expectDone(.{ 0, 0, 0 }, .{ 1, 0, 1 }, 0);
    try expectDone(.{ 1, 0, 0 }, .{ 1, 0, 1 }, 0);
    try expectDone(.{ 0, 1, 0 }, .{ 1, 1, 1 }, 1);
}

test "stop_when: no sequences stop nothing, and no stop tokens leave done alone" {
    const token = [_]i32{-1};
    const none = token[0..0];
    const empty = testing.run(&run, &.{
        testing.dense(i32, none, &.{0}),
        testing.dense(i32, none, &.{ 0, 2 }),
        testing.dense(i32, none, &.{0}),
    }, &.{testing.dense(i32, none, &.{0})}, {}, .{});
    try std.testing.expectEqual(0, empty.stop);

    var done = [_]i32{1};
    const full = testing.run(&run, &.{
        testing.dense(i32, &token, &.{1}),
        testing.dense(i32, none, &.{ 1, 0 }),
        testing.dense(i32, &done, &.{1}),
    }, &.{testing.dense(i32, &done, &.{1})}, {}, .{});
    try std.testing.expectEqual(1, full.stop);
    try std.testing.expectEqual([_]i32{1}, done);
}
