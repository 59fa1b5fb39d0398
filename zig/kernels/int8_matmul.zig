//! Int8 weights times wide integer activations, for the output head:
//! y[r, n] = (f32(sum_k x[r,k] * w[n,k]) * (1 / a[r])) * (1 / wa[n]).
//!
//! Inputs: x i16 (R, K), a f32 (R), w i8 (N, K), wa f32 (N). Output: y f32 (R, N). The sum is exact
//! in i32: whoever quantizes picks levels so that it fits. Workers take contiguous weight rows; for
//! one token these are read once, several at a time so that activations are loaded once for all.

const std = @import("std");
const dot = @import("dot.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

/// Bytes of activations that stay in the second-level cache while weights pass by.
const x_cache_size = 256 << 10;

pub fn run(task: *const Task) callconv(.c) void {
    Int8Matmul(dot.native).run(task);
}

pub fn Int8Matmul(comptime level: dot.Level) type {
    const D = dot.Wide(level);
    return struct {
        const tokens_max = 4;

        pub fn run(task: *const Task) callconv(.c) void {
            const x = task.in(0);
            const w = task.in(2);
            std.debug.assert(w.dims[1] == x.dims[1]);
            const share = task.share(w.dims[0]);
            const tokens: usize = x.dims[0];
            const fit = x_cache_size / (2 * @as(usize, @max(x.dims[1], 1)));
            const piece_max = std.mem.alignForward(usize, @max(fit, 1), tokens_max);
            var first: usize = 0;
            while (first < tokens) {
                const end = @min(tokens, first + piece_max);
                multiplyPiece(task, first, end, share.start, share.end);
                first = end;
            }
        }

        /// Tokens `first..end` with weight rows `start..stop`.
        fn multiplyPiece(
            task: *const Task,
            first: usize,
            end: usize,
            start: usize,
            stop: usize,
        ) void {
            var row = start;
            if (end - first == 1) {
                while (row + 4 <= stop) : (row += 4) multiply(1, 4, task, first, row);
            } else {
                while (row + 2 <= stop) : (row += 2) multiplyRows(2, task, first, end, row);
            }
            while (row < stop) : (row += 1) multiplyRows(1, task, first, end, row);
        }

        fn multiplyRows(
            comptime rows: usize,
            task: *const Task,
            first: usize,
            end: usize,
            row: usize,
        ) void {
            var token = first;
            while (token + tokens_max <= end) : (token += tokens_max) {
                multiply(tokens_max, rows, task, token, row);
            }
            while (token < end) : (token += 1) multiply(1, rows, task, token, row);
        }

        fn multiply(
            comptime tokens: usize,
            comptime rows: usize,
            task: *const Task,
            token: usize,
            row: usize,
        ) void {
            const columns = task.in(0).dims[1];
            var x: [tokens][]const i16 = undefined;
            var w: [rows][]const i8 = undefined;
            inline for (&x, 0..) |*values, t| values.* = task.in(0).row(i16, token + t);
            inline for (&w, 0..) |*weights, n| weights.* = task.in(2).row(i8, row + n);
            var parts: [tokens][rows]D.Sums = @splat(@splat(D.zero));
            var column: usize = 0;
            while (column + D.elements <= columns) : (column += D.elements) {
                inline for (0..tokens) |t| inline for (0..rows) |n| {
                    const values = x[t][column..][0..D.elements];
                    const weights = w[n][column..][0..D.elements];
                    parts[t][n] = D.add(parts[t][n], values, weights);
                };
            }
            inline for (0..tokens) |t| inline for (0..rows) |n| {
                var sum = D.total(parts[t][n]);
                for (x[t][column..], w[n][column..]) |value, weight| {
                    sum +%= @as(i32, value) * weight;
                }
                store(task, token + t, row + n, sum);
            };
        }
    };
}

fn store(task: *const Task, token: usize, row: usize, sum: i32) void {
    const a = task.in(1).ptr(f32)[token];
    const weight_a = task.in(3).ptr(f32)[row];
    task.out(0).row(f32, token)[row] = @as(f32, @floatFromInt(sum)) * (1 / a) * (1 / weight_a);
}

const testing = @import("testing.zig");

fn check(rows: u32, columns: u32, tokens: u32, extreme: bool) !void {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const gpa = arena.allocator();
    const x = try gpa.alloc(i16, tokens * columns);
    const w = try gpa.alloc(i8, rows * (columns + 5));
    testing.fillInteger(i16, x, 1, if (extreme) 2047 else -2047, 2047);
    testing.fillInteger(i8, w, 2, -128, if (extreme) -128 else 127);
    const a = try gpa.alloc(f32, tokens);
    const weight_a = try gpa.alloc(f32, rows);
    for (a, 0..) |*value, i| value.* = 301.7 + @as(f32, @floatFromInt(i));
    for (weight_a, 0..) |*value, i| value.* = 77.1 + @as(f32, @floatFromInt(i));
    const want = try gpa.alloc(f32, tokens * rows);
    for (0..tokens) |r| for (0..rows) |n| {
        var sum: i32 = 0;
        for (x[r * columns ..][0..columns], w[n * (columns + 5) ..][0..columns]) |value, weight| {
            sum += @as(i32, value) * weight;
        }
        const scaled = @as(f32, @floatFromInt(sum)) * (1 / a[r]);
        want[r * rows + n] = scaled * (1 / weight_a[n]);
    };
    const y = try gpa.alloc(f32, want.len);
    const inputs = [_]View{
        testing.dense(i16, x, &.{ tokens, columns }),
        testing.dense(f32, a, &.{tokens}),
        testing.strided(i8, w.ptr, &.{ rows, columns }, &.{ columns + 5, 1 }),
        testing.dense(f32, weight_a, &.{rows}),
    };
    const outputs = [_]View{testing.dense(f32, y, &.{ tokens, rows })};
    inline for (comptime std.enums.values(dot.Level)) |level| if (comptime dot.runs(level)) {
        const kernel = &Int8Matmul(level).run;
        try testing.runSplit(kernel, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(y)});
        try std.testing.expectEqualSlices(f32, want, y);
    };
}

test "int8_matmul: every level equals the definition on shapes around its tiles" {
    for ([_]u32{ 1, 3, 4, 9, 32 }) |rows| for ([_]u32{ 1, 7, 31, 32, 33, 257 }) |columns| {
        for ([_]u32{ 1, 2, 4, 7 }) |tokens| try check(rows, columns, tokens, false);
    };
    try check(5, 8191, 1, true);
    try check(5, 8191, 6, true);
    try check(3, 100_000, 9, false);
}
