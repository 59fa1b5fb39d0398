//! Int8 weights times wide integer activations, for the output head:
//! y[r, n] = (f32(sum_k x[r,k] * w[n,k]) * (1 / a[r])) * (1 / wa[n]).
//!
//! Inputs: x i16 (R, K), a f32 (R), w i8 (N, K), wa f32 (N). Output: y f32 (R, N). The sum is exact
//! in i32: whoever quantizes picks levels so that it fits. Workers take contiguous weight rows.

const std = @import("std");
const dot = @import("dot.zig");
const Planes = @import("int8_planes.zig").Planes;
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

/// Bytes of activations that stay in the second-level cache while weights pass by.
const x_cache_size = 256 << 10;

pub fn run(task: *const Task) callconv(.c) void {
    Int8Matmul(dot.native).run(task);
}

/// Tokens and weight rows of one part of the product.
const Part = struct { token_start: usize, token_end: usize, row_start: usize, row_end: usize };

const tokens_max = 4;

pub fn Int8Matmul(comptime level: dot.Level) type {
    const D = dot.Wide(level);
    return struct {
        pub fn run(task: *const Task) callconv(.c) void {
            const x = task.in(0);
            const w = task.in(2);
            std.debug.assert(w.dims[1] == x.dims[1]);
            const share = task.share(w.dims[0]);
            const tokens: usize = x.dims[0];
            if (has_vnni and tokens == 1 and multiplyToken(task)) return;
            const fit = x_cache_size / (2 * @as(usize, @max(x.dims[1], 1)));
            const step = std.mem.alignForward(usize, @max(fit, 1), tokens_max);
            var token: usize = 0;
            while (token < tokens) : (token += step) multiplyPart(task, .{
                .token_start = token,
                .token_end = @min(tokens, token + step),
                .row_start = share.start,
                .row_end = share.end,
            });
        }

        const has_vnni = level == .avxvnni or level == .avx512vnni;

        /// False, and nothing done, where the token does not split into planes of bytes.
        fn multiplyToken(task: *const Task) bool {
            const scratch = task.scratch[0..task.scratch_size];
            const Token = Planes(dot.Ternary(level));
            const token = Token.split(task.in(0).row(i16, 0), scratch) orelse return false;
            const share = task.share(task.in(2).dims[0]);
            for (share.start..share.end) |row| {
                store(task, 0, row, token.dot(task.in(2).row(i8, row)));
            }
            return true;
        }

        /// Weights are one stream from memory while few tokens leave that the limit; for many, two
        /// rows share each load of activations.
        fn multiplyPart(task: *const Task, part: Part) void {
            var row = part.row_start;
            if (part.token_end - part.token_start > tokens_max) {
                while (row + 2 <= part.row_end) : (row += 2) multiplyRows(2, task, part, row);
            }
            while (row < part.row_end) : (row += 1) multiplyRows(1, task, part, row);
        }

        fn multiplyRows(comptime rows: usize, task: *const Task, part: Part, row: usize) void {
            var token = part.token_start;
            while (token < part.token_end) : (token += tokens_max) {
                switch (@min(part.token_end - token, tokens_max)) {
                    inline 1...tokens_max => |count| Product(D, count, rows).run(task, token, row),
                    else => unreachable,
                }
            }
        }
    };
}

/// Some tokens times some weight rows, all in registers.
fn Product(comptime D: type, comptime tokens: usize, comptime rows: usize) type {
    return struct {
        const Sums = [tokens][rows]D.Sums;

        /// Few sums at a time would wait for each other: neighbouring columns take turns.
        const turns: usize = @max(1, 4 / (tokens * rows));

        const Operands = struct { x: [tokens][]const i16, w: [rows][]const i8 };

        fn run(task: *const Task, token: usize, row: usize) void {
            const columns = task.in(0).dims[1];
            var operands: Operands = undefined;
            inline for (&operands.x, 0..) |*x, t| x.* = task.in(0).row(i16, token + t);
            inline for (&operands.w, 0..) |*w, n| w.* = task.in(2).row(i8, row + n);
            var parts: [turns]Sums = @splat(@splat(@splat(D.zero)));
            var column: usize = 0;
            while (column + turns * D.elements <= columns) {
                inline for (&parts) |*part| {
                    addStep(part, &operands, column);
                    column += D.elements;
                }
            }
            while (column + D.elements <= columns) : (column += D.elements) {
                addStep(&parts[0], &operands, column);
            }
            inline for (operands.x, 0..) |x, t| inline for (operands.w, 0..) |w, n| {
                var sum: i32 = 0;
                inline for (parts) |part| sum +%= D.total(part[t][n]);
                for (x[column..], w[column..]) |value, weight| sum +%= @as(i32, value) * weight;
                store(task, token + t, row + n, sum);
            };
        }

        inline fn addStep(sums: *Sums, operands: *const Operands, column: usize) void {
            inline for (sums, operands.x) |*token_sums, x| {
                const values = x[column..][0..D.elements];
                inline for (token_sums, operands.w) |*sum, w| {
                    sum.* = D.add(sum.*, values, w[column..][0..D.elements]);
                }
            }
        }
    };
}

/// The last step of one element.
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
    // Of the widest activations only those of few columns keep their sum within an i32.
    const most: i16 = if (columns <= 257) 32767 else 2047;
    testing.fillInteger(i16, x, 1, if (extreme) most else -most, most);
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
