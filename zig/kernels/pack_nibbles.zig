//! Int8 rows to two planes of nibbles, w + 128 = 16 * high + low (layout: nibble_planes.zig), with
//! what screening by the high plane has to know of the low one:
//! centre[n] = mean_k low[n, k]; spread[n] = sqrt(mean_k (low[n, k] - centre[n])^2).
//!
//! Input: codes i8 (N, K). Outputs: high and low nibble4 (N, K), centre and spread f32 (N). Padding
//! holds weights of 0. Units of work: blocks of 4 rows.

const std = @import("std");
const planes = @import("nibble_planes.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const Line = @Vector(planes.line_size, u8);

/// Nibbles counted at a time; a square of one fits a byte.
const count_width = 32;
const Bytes = @Vector(count_width, u8);
const Counts = @Vector(count_width, u32);

pub fn run(task: *const Task) callconv(.c) void {
    const codes = task.in(0);
    const rows: usize = codes.dims[0];
    const chunks = planes.chunksOf(codes.dims[1]);
    const share = task.share((rows + planes.block_rows - 1) / planes.block_rows);
    for (share.start..share.end) |block| {
        for (0..planes.block_rows) |r| {
            const row = block * planes.block_rows + r;
            const w: []const i8 = if (row < rows) codes.row(i8, row) else &.{};
            for (0..chunks) |chunk| {
                const lines = (block * chunks + chunk) * planes.block_rows + r;
                const column = @min(chunk * planes.chunk_columns, w.len);
                packLine(task, lines * planes.line_size, w[column..]);
            }
            if (row < rows) measure(task, row, w);
        }
    }
}

/// The lines at `at` of both planes, of the next columns; those past the last hold weights of 0.
fn packLine(task: *const Task, at: usize, w: []const i8) void {
    var padded: [planes.chunk_columns]i8 = @splat(0);
    const count = @min(w.len, padded.len);
    @memcpy(padded[0..count], w[0..count]);
    const flip: Line = @splat(planes.offset);
    const first: Line = @bitCast(padded[0..planes.line_size].*);
    const second: Line = @bitCast(padded[planes.line_size..].*);
    const mask: Line = @splat(15);
    const four: @Vector(planes.line_size, u3) = @splat(4);
    const a = first ^ flip;
    const b = second ^ flip;
    const high = task.out(0).data + at;
    const low = task.out(1).data + at;
    high[0..planes.line_size].* = (a >> four) | (b & ~mask);
    low[0..planes.line_size].* = (a & mask) | (b << four);
}

/// Centre and spread of the low nibbles of a row, from integer sums.
fn measure(task: *const Task, row: usize, w: []const i8) void {
    var sums: Counts = @splat(0);
    var squares_of: Counts = @splat(0);
    var at: usize = 0;
    while (at + count_width <= w.len) : (at += count_width) {
        const low = @as(Bytes, @bitCast(w[at..][0..count_width].*)) & @as(Bytes, @splat(15));
        sums += low;
        squares_of += low * low;
    }
    var sum: u64 = @reduce(.Add, sums);
    var squares: u64 = @reduce(.Add, squares_of);
    for (w[at..]) |weight| {
        const low: u64 = @as(u8, @bitCast(weight)) & 15;
        sum += low;
        squares += low * low;
    }
    const count: f64 = @floatFromInt(@max(w.len, 1));
    const variance: f64 = @floatFromInt(w.len * squares - sum * sum);
    task.out(2).ptr(f32)[row] = @floatCast(@as(f64, @floatFromInt(sum)) / count);
    task.out(3).ptr(f32)[row] = @floatCast(@sqrt(variance) / count);
}

const testing = @import("testing.zig");

test "pack_nibbles: planes give every weight back, and centre and spread are those of the low" {
    const gpa = std.testing.allocator;
    for ([_][2]u32{ .{ 1, 1 }, .{ 4, 128 }, .{ 5, 127 }, .{ 11, 300 } }) |shape| {
        const rows, const columns = shape;
        const chunks = planes.chunksOf(columns);
        const codes = try gpa.alloc(i8, rows * columns);
        defer gpa.free(codes);
        testing.fillInteger(i8, codes, columns, -128, 127);
        const size = (rows + 3) / 4 * chunks * 256;
        const high = try gpa.alignedAlloc(u8, .@"64", size);
        defer gpa.free(high);
        const low = try gpa.alignedAlloc(u8, .@"64", size);
        defer gpa.free(low);
        var centre: [11]f32 = undefined;
        var spread: [11]f32 = undefined;
        const outputs = [_]View{
            testing.packedRows(.nibble4, high, rows, columns),
            testing.packedRows(.nibble4, low, rows, columns),
            testing.dense(f32, centre[0..rows], &.{rows}),
            testing.dense(f32, spread[0..rows], &.{rows}),
        };
        const written = [_][]u8{ high, low, std.mem.sliceAsBytes(centre[0..rows]) };
        const inputs = [_]View{testing.dense(i8, codes, &.{ rows, columns })};
        try testing.runSplit(&run, &inputs, &outputs, {}, &written);
        for (0..rows) |row| {
            var sum: f64 = 0;
            var squares: f64 = 0;
            for (0..columns) |column| {
                const line = (row / 4 * chunks + column / 128) * 4 + row % 4;
                const byte = line * 64 + column % 64;
                const shift: u3 = if (column % 128 < 64) 0 else 4;
                const nibble: f64 = @floatFromInt((low[byte] >> shift) & 15);
                const above: i32 = (high[byte] >> shift) & 15;
                const weight = 16 * above + @as(i32, @intFromFloat(nibble)) - 128;
                try std.testing.expectEqual(codes[row * columns + column], weight);
                sum += nibble;
                squares += nibble * nibble;
            }
            const count: f64 = @floatFromInt(columns);
            const variance = squares / count - sum * sum / (count * count);
            try std.testing.expectApproxEqAbs(sum / count, centre[row], 1e-6);
            try std.testing.expectApproxEqAbs(@sqrt(@max(variance, 0)), spread[row], 1e-5);
        }
    }
}
