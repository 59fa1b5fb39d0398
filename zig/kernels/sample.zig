//! Draws a token for each sequence: the first i with p[0] + .. + p[i] > u * sum(p).
//!
//! u is the Philox word of (seed, sequence, step), so a draw depends on nothing but those and the
//! probabilities. Sums run in f64 over chunks of 1024 in index order: the cumulative sum of whole
//! chunks picks the chunk, a sequential sum inside it the token. The token is appended to the
//! sequence's history and its step counted up. A history of no places is not kept.

const std = @import("std");
const lanes = @import("lanes.zig");
const philox = @import("philox.zig");
const Task = @import("task.zig").Task;

const chunk_len = 1024;

pub fn run(task: *const Task) callconv(.c) void {
    const probs = task.in(0); // f32 (sequences, vocabulary)
    const share = task.share(probs.dims[0]);
    if (probs.dims[1] == 0) return;
    for (share.start..share.end) |s| {
        const random = task.in(1).row(u32, s); // seed low, seed high, sequence, step
        const words = philox.block(.{ random[3], random[2], 0, 0 }, .{ random[0], random[1] });
        const token = draw(probs.row(f32, s), philox.uniform(words)) orelse {
            task.fail(.not_finite, @intCast(s));
            continue;
        };
        task.out(0).ptr(i32)[s] = @intCast(token);
        const random_next = task.out(1).row(u32, s);
        random_next[0..4].* = .{ random[0], random[1], random[2], random[3] +% 1 };
        append(task, s, @intCast(token));
    }
}

fn append(task: *const Task, s: usize, token: i32) void {
    const history = task.out(2).row(i32, s); // (places)
    const len = &task.out(3).ptr(i32)[s];
    if (history.len == 0) return;
    if (len.* < 0 or len.* >= history.len) return task.fail(.history_full, len.*);
    history[@intCast(len.*)] = token;
    len.* += 1;
}

/// The token at `u` of the distribution, or null when the probabilities have no positive sum.
fn draw(probs: []const f32, u: f64) ?usize {
    const total = chunkedSum(probs);
    if (!(total > 0) or total == std.math.inf(f64)) return null;
    const target = u * total;
    var before: f64 = 0;
    var last_positive: ?usize = null;
    var start: usize = 0;
    while (start < probs.len) : (start += chunk_len) {
        const chunk = probs[start..@min(start + chunk_len, probs.len)];
        const sum = chunkSum(chunk);
        if (sum == 0) continue;
        if (before + sum > target) {
            return start + drawInChunk(chunk, target - before);
        }
        before += sum;
        last_positive = start;
    }
    // Rounding alone leads here: the target lies at the very end of the distribution.
    const chunk_start = last_positive orelse return null;
    const chunk = probs[chunk_start..@min(chunk_start + chunk_len, probs.len)];
    return chunk_start + drawInChunk(chunk, std.math.inf(f64));
}

/// The first place whose cumulative sum exceeds `target`, or else the last with a probability.
fn drawInChunk(chunk: []const f32, target: f64) usize {
    var sum: f64 = 0;
    var last_positive: usize = 0;
    for (chunk, 0..) |p, i| {
        if (p == 0) continue;
        sum += p;
        last_positive = i;
        if (sum > target) break;
    }
    return last_positive;
}

fn chunkedSum(probs: []const f32) f64 {
    var sum: f64 = 0;
    var start: usize = 0;
    while (start < probs.len) : (start += chunk_len) {
        sum += chunkSum(probs[start..@min(start + chunk_len, probs.len)]);
    }
    return sum;
}

/// Lane i sums the elements i, 16 + i, ...; lanes are added in order, so the result is one number
/// on every machine.
fn chunkSum(chunk: []const f32) f64 {
    const F64 = @Vector(lanes.width, f64);
    var sums: F64 = @splat(0);
    var i: usize = 0;
    while (i + lanes.width <= chunk.len) : (i += lanes.width) {
        sums += @as(F64, lanes.load(f32, chunk[i..].ptr));
    }
    var sum: f64 = 0;
    for (@as([lanes.width]f64, sums)) |lane| sum += lane;
    for (chunk[i..]) |p| sum += p;
    return sum;
}

const testing = @import("testing.zig");

/// Draws for each row of `probs` from state (7, 9, sequence 3, step); returns the tokens.
fn drawOnce(comptime s_count: u32, probs: []const f32, step: u32) ![s_count]i32 {
    const vocabulary: u32 = @intCast(probs.len / s_count);
    const random: [s_count][4]u32 = @splat(.{ 7, 9, 3, step });
    var token: [s_count]i32 = @splat(-1);
    var random_next: [s_count][4]u32 = undefined;
    var history: [s_count][2]i32 = @splat(@splat(-1));
    var history_len: [s_count]i32 = @splat(1);
    const outcome = testing.run(&run, &.{
        testing.dense(f32, probs, &.{ s_count, vocabulary }),
        testing.dense(u32, @as(*const [s_count * 4]u32, @ptrCast(&random)), &.{ s_count, 4 }),
    }, &.{
        testing.dense(i32, &token, &.{s_count}),
        testing.dense(u32, @as(*[s_count * 4]u32, @ptrCast(&random_next)), &.{ s_count, 4 }),
        testing.dense(i32, @as(*[s_count * 2]i32, @ptrCast(&history)), &.{ s_count, 2 }),
        testing.dense(i32, &history_len, &.{s_count}),
    }, {}, .{ .worker_count = 2 });
    try std.testing.expectEqual(.none, outcome.code);
    for (0..s_count) |s| {
        try std.testing.expectEqual([4]u32{ 7, 9, 3, step + 1 }, random_next[s]);
        try std.testing.expectEqual([2]i32{ -1, token[s] }, history[s]);
        try std.testing.expectEqual(2, history_len[s]);
    }
    return token;
}

test "sample: the token of a one-hot row is certain, wherever it lies" {
    var probs: [2 * 3000]f32 = @splat(0);
    for ([_]usize{ 0, 15, 1023, 1024, 2999 }) |hot| {
        probs[hot] = 1;
        probs[3000 + 2999 - hot] = 0.25; // rows need not add up to 1
        const want: i32 = @intCast(hot);
        try std.testing.expectEqual([2]i32{ want, 2999 - want }, try drawOnce(2, &probs, 5));
        @memset(&probs, 0);
    }
}

test "sample: frequencies follow the probabilities" {
    var probs: [2500]f32 = @splat(0);
    const support = [_]usize{ 1, 1030, 2400 };
    const weights = [_]f32{ 0.2, 0.5, 0.3 };
    for (support, weights) |at, weight| probs[at] = weight;
    var counts: [3]f64 = @splat(0);
    const draws = 4000;
    for (0..draws) |step| {
        const token = (try drawOnce(1, &probs, @intCast(step)))[0];
        counts[std.mem.indexOfScalar(usize, &support, @intCast(token)).?] += 1;
    }
    // Five standard deviations of a binomial share are below 0.04.
    for (counts, weights) |count, weight| {
        try std.testing.expectApproxEqAbs(weight, count / draws, 0.04);
    }
}

test "sample: a target at the very end falls to the last token with a probability" {
    const probs = [_]f32{ 0.5, 0.5, 0 } ++ @as([1100]f32, @splat(0));
    try std.testing.expectEqual(1, draw(&probs, 1));
    try std.testing.expectEqual(0, draw(&probs, 0));
    try std.testing.expectEqual(1, draw(&probs, 0.5));
}

test "sample: refuses rows without probability and a full history" {
    const nan = std.math.nan(f32);
    const hot = [_]f32{ 0, 1 };
    const cases = [_]struct { probs: [2]f32, len: i32, want: @import("task.zig").FaultCode }{
        .{ .probs = .{ 0, 0 }, .len = 0, .want = .not_finite },
        .{ .probs = .{ nan, 1 }, .len = 0, .want = .not_finite },
        .{ .probs = hot, .len = 4, .want = .history_full },
        .{ .probs = hot, .len = -1, .want = .history_full },
    };
    for (cases) |case| {
        var random = [_]u32{ 1, 2, 3, 4 };
        var token = [_]i32{-7};
        var history: [4]i32 = @splat(-7);
        var len = [_]i32{case.len};
        const outcome = testing.run(&run, &.{
            testing.dense(f32, &case.probs, &.{ 1, 2 }),
            testing.dense(u32, &random, &.{ 1, 4 }),
        }, &.{
            testing.dense(i32, &token, &.{1}),
            testing.dense(u32, &random, &.{ 1, 4 }),
            testing.dense(i32, &history, &.{ 1, 4 }),
            testing.dense(i32, &len, &.{1}),
        }, {}, .{});
        try std.testing.expectEqual(case.want, outcome.code);
        try std.testing.expectEqual(@as([4]i32, @splat(-7)), history);
        try std.testing.expectEqual(case.len, len[0]);
    }
}
