//! Rows of weights to int8 in two planes of nibbles, w + 128 = 16 * high + low (layout:
//! nibble_planes.zig), with what screening by the high plane has to know of the low one:
//! a[n], w[n, k] as quantize_rows has them with 127 levels;
//! centre[n] = mean_k low[n, k]; spread[n] = sqrt(mean_k (low[n, k] - centre[n])^2).
//!
//! Input: x (N, K), of any layout blocks.zig decodes. Outputs: high and low nibble4 (N, K), a,
//! centre and spread f32 (N). Padding holds weights of 0. Units of work: blocks of 4 rows.

const std = @import("std");
const planes = @import("nibble_planes.zig");
const quantize_rows = @import("quantize_rows.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const Line = @Vector(planes.line_size, u8);

/// Nibbles counted at a time, in sixteen bits for so many turns: squares are 225 at most.
const count_width = 32;
const count_turns = 256;
const Bytes = @Vector(count_width, u8);
const Counts = @Vector(count_width, u16);

const levels = 127;
/// Blocks handed out at a time.
const grain = 64;

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const rows: usize = x.dims[0];
    const columns: usize = x.dims[1];
    const decoded: *quantize_rows.Piece = @ptrCast(task.scratch);
    const codes: []i8 = @ptrCast(task.scratch[@sizeOf(quantize_rows.Piece)..task.scratch_size]);
    std.debug.assert(planes.block_rows * columns <= codes.len);
    const a = task.out(2).ptr(f32)[0..rows];
    const centre = task.out(3).ptr(f32)[0..rows];
    const spread = task.out(4).ptr(f32)[0..rows];
    var units = task.units((rows + planes.block_rows - 1) / planes.block_rows, grain);
    while (units.next()) |range| {
        for (range.start..range.end) |block| {
            const first = block * planes.block_rows;
            const count = @min(planes.block_rows, rows - first);
            for (first..first + count, 0..) |row, index| {
                const w = codes[index * columns ..][0..columns];
                a[row] = quantize_rows.quantizeRow(i8, x, row, w, levels, decoded);
                centre[row], spread[row] = measure(w);
            }
            packBlock(block, codes[0 .. count * columns], task.out(0), task.out(1));
        }
    }
}

/// Writes a block of both planes from the codes of its rows, one after the other, from the first
/// byte to the last; rows and columns that are not there hold weights of 0.
pub fn packBlock(block: usize, codes: []const i8, high: *const View, low: *const View) void {
    const columns: usize = high.dims[1];
    const chunks = planes.chunksOf(columns);
    const zeros: [planes.chunk_columns]i8 = @splat(0);
    var at = block * chunks * planes.chunk_size;
    for (0..chunks) |chunk| {
        const column = chunk * planes.chunk_columns;
        const count = @min(planes.chunk_columns, columns - column);
        for (0..planes.block_rows) |r| {
            const start = r * columns + column;
            const w = codes[@min(start, codes.len)..][0..if (start < codes.len) count else 0];
            if (w.len == zeros.len) {
                packLine(w[0..zeros.len], high.data + at, low.data + at);
            } else {
                var padded = zeros;
                @memcpy(padded[0..w.len], w);
                packLine(&padded, high.data + at, low.data + at);
            }
            at += planes.line_size;
        }
    }
}

/// The lines of a chunk's columns.
inline fn packLine(w: *const [planes.chunk_columns]i8, high: [*]u8, low: [*]u8) void {
    const flip: Line = @splat(planes.offset);
    const first: Line = @bitCast(w[0..planes.line_size].*);
    const second: Line = @bitCast(w[planes.line_size..].*);
    const mask: Line = @splat(15);
    const four: @Vector(planes.line_size, u3) = @splat(4);
    const a = first ^ flip;
    const b = second ^ flip;
    high[0..planes.line_size].* = (a >> four) | (b & ~mask);
    low[0..planes.line_size].* = (a & mask) | (b << four);
}

/// Centre and spread of the low nibbles of a row, from integer sums.
pub fn measure(w: []const i8) struct { f32, f32 } {
    var sum: u64 = 0;
    var squares: u64 = 0;
    var at: usize = 0;
    while (at + count_width <= w.len) {
        var sums: Counts = @splat(0);
        var squares_of: Counts = @splat(0);
        const turns = @min(count_turns, (w.len - at) / count_width);
        for (0..turns) |_| {
            const bytes: Bytes = @bitCast(w[at..][0..count_width].*);
            const low: Counts = bytes & @as(Bytes, @splat(15));
            sums += low;
            squares_of += low * low;
            at += count_width;
        }
        sum += totalOf(sums);
        squares += totalOf(squares_of);
    }
    for (w[at..]) |weight| {
        const low: u64 = @as(u8, @bitCast(weight)) & 15;
        sum += low;
        squares += low * low;
    }
    const count: f64 = @floatFromInt(@max(w.len, 1));
    const variance: f64 = @floatFromInt(w.len * squares - sum * sum);
    const mean = @as(f64, @floatFromInt(sum)) / count;
    return .{ @floatCast(mean), @floatCast(@sqrt(variance) / count) };
}

/// All of some counts, which may be more than sixteen bits hold.
fn totalOf(counts: Counts) u64 {
    return @reduce(.Add, @as(@Vector(count_width, u32), counts));
}

const testing = @import("testing.zig");

test "quantize_nibbles: planes give the weights of quantize_rows back, and numbers of the low" {
    const gpa = std.testing.allocator;
    for ([_][2]u32{ .{ 1, 1 }, .{ 4, 128 }, .{ 5, 127 }, .{ 11, 300 }, .{ 3, 5000 } }) |shape| {
        const rows, const columns = shape;
        const chunks = planes.chunksOf(columns);
        const x = try gpa.alloc(f32, rows * columns);
        defer gpa.free(x);
        testing.fillNormal(f32, x, columns, 0.3);
        const codes = try gpa.alloc(i8, rows * columns);
        defer gpa.free(codes);
        var want_a: [11]f32 = undefined;
        const inputs = [_]View{testing.dense(f32, x, &.{ rows, columns })};
        const plain = [_]View{
            testing.dense(i8, codes, &.{ rows, columns }),
            testing.dense(f32, want_a[0..rows], &.{rows}),
        };
        const attrs: quantize_rows.Attrs = .{ .levels = levels };
        _ = testing.run(&quantize_rows.run, &inputs, &plain, attrs, .{});
        const size = (rows + 3) / 4 * chunks * 256;
        const high = try gpa.alignedAlloc(u8, .@"64", size);
        defer gpa.free(high);
        const low = try gpa.alignedAlloc(u8, .@"64", size);
        defer gpa.free(low);
        var a: [11]f32 = undefined;
        var centre: [11]f32 = undefined;
        var spread: [11]f32 = undefined;
        const outputs = [_]View{
            testing.packedRows(.nibble4, high, rows, columns),
            testing.packedRows(.nibble4, low, rows, columns),
            testing.dense(f32, a[0..rows], &.{rows}),
            testing.dense(f32, centre[0..rows], &.{rows}),
            testing.dense(f32, spread[0..rows], &.{rows}),
        };
        const written = [_][]u8{ high, low, std.mem.sliceAsBytes(centre[0..rows]) };
        try testing.runSplit(&run, &inputs, &outputs, {}, &written);
        try std.testing.expectEqualSlices(f32, want_a[0..rows], a[0..rows]);
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
