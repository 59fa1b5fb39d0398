//! y[r, n] = sum_k x[r, k] * w[n, k] (+ bias[n]), in the common sixteen-lane order along k.
//!
//! x: f32 (R, K) rows; w: (N, K) f32, f16 or bf16 of any alignment, or q8_0, q4_0, q4_k, q6_k
//! blocks; bias: f32 (N); y: f32 (R, N) rows. Units of work: panels of 32 weight rows.
//!
//! For few rows of x strided weights are read straight from memory, several rows of w at a time;
//! else a panel is decoded piece by piece and used for up to 64 rows of x. The sums of each pair
//! of rows add their terms in the same order either way.

const std = @import("std");
const blocks = @import("blocks.zig");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;
const F32 = lanes.F32;

/// 1 where the optional bias follows the weights.
pub const Attrs = extern struct { has_bias: u32 };

const panel_rows = 32;
/// Rows of x that share a decoded panel.
const batch_rows = 64;
/// Columns decoded at a time.
const piece_count = 512;
/// Rows of x up to which reading the weights is what takes the time.
const few_rows_max = 4;

/// Rows of x and of w whose sums fill the registers.
const tile_x = switch (lanes.registers) {
    32 => 4,
    8 => 2,
    else => 1,
};
const tile_w = switch (lanes.registers) {
    32 => 4,
    else => 2,
};
/// Rows of w read together for few rows of x: streams that the processor follows by itself.
const stream_w = 4;

/// What a panel needs in scratch.
const Scratch = struct {
    weights: [panel_rows][piece_count]f32 align(64),
    sums: [batch_rows][panel_rows]F32,
};

comptime {
    std.debug.assert(@sizeOf(Scratch) <= 1 << 20);
    std.debug.assert(piece_count % blocks.column_step == 0);
    std.debug.assert(panel_rows % tile_w == 0 and panel_rows % stream_w == 0);
}

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const w = task.in(1);
    const share = task.share((w.dims[0] + panel_rows - 1) / panel_rows);
    const few = x.dims[0] <= few_rows_max;
    for (share.start..share.end) |unit| {
        const first = unit * panel_rows;
        const end = @min(first + panel_rows, w.dims[0]);
        if (few and w.layout == .strided) switch (w.dtype) {
            .f32 => multiplyDirect(f32, task, first, end),
            .f16 => multiplyDirect(f16, task, first, end),
            .bf16 => multiplyDirect(lanes.Bf16, task, first, end),
            else => unreachable,
        } else {
            multiplyDecoded(task, first, end, if (few) stream_w else panel_rows);
        }
    }
}

/// Weight rows `first..end` for all rows of x, straight from memory.
fn multiplyDirect(comptime T: type, task: *const Task, first: usize, end: usize) void {
    var n = first;
    while (n + stream_w <= end) : (n += stream_w) directRows(T, stream_w, task, n);
    while (n < end) : (n += 1) directRows(T, 1, task, n);
}

fn directRows(comptime T: type, comptime count: usize, task: *const Task, n: usize) void {
    const x = task.in(0);
    var rows: [count][*]align(1) const T = undefined;
    inline for (&rows, 0..) |*row, i| row.* = blocks.looseRow(T, task.in(1), n + i);
    var r: usize = 0;
    while (r + tile_x <= x.dims[0]) : (r += tile_x) directTile(T, tile_x, count, task, r, n, rows);
    while (r + 2 <= x.dims[0]) : (r += 2) directTile(T, 2, count, task, r, n, rows);
    while (r < x.dims[0]) : (r += 1) directTile(T, 1, count, task, r, n, rows);
}

inline fn directTile(
    comptime T: type,
    comptime x_count: usize,
    comptime w_count: usize,
    task: *const Task,
    r: usize,
    n: usize,
    w: [w_count][*]align(1) const T,
) void {
    var sums: [x_count][w_count]F32 = @splat(@splat(lanes.zero));
    accumulate(T, x_count, w_count, xRows(x_count, task.in(0), r, 0), w, task.in(0).dims[1], &sums);
    inline for (sums, 0..) |of_row, i| {
        inline for (of_row, 0..) |sum, j| finish(task, r + i, n + j, sum);
    }
}

/// Weight rows `first..end` for all rows of x, `step` at a time, decoded to f32 ahead.
fn multiplyDecoded(task: *const Task, first: usize, end: usize, step: usize) void {
    var n = first;
    while (n < end) : (n += step) multiplyPanel(task, n, @min(n + step, end));
}

fn multiplyPanel(task: *const Task, first: usize, end: usize) void {
    const row_count: usize = task.in(0).dims[0];
    const k_count: usize = task.in(1).dims[1];
    const scratch: *Scratch = @ptrCast(@alignCast(task.scratch));
    var r: usize = 0;
    while (r < row_count) : (r += batch_rows) {
        const r_count = @min(batch_rows, row_count - r);
        for (scratch.sums[0..r_count]) |*of_row| @memset(of_row[0 .. end - first], lanes.zero);
        var k: usize = 0;
        while (k < k_count) : (k += piece_count) {
            const count = @min(piece_count, k_count - k);
            for (first..end, 0..) |n, i| {
                blocks.decode(task.in(1), n, k, scratch.weights[i][0..count]);
            }
            const patch: Patch = .{ .r = r, .r_count = r_count, .k = k, .k_count = count };
            addPiece(task.in(0), patch, scratch, end - first);
        }
        for (0..r_count) |i| for (first..end, 0..) |n, j| {
            finish(task, r + i, n, scratch.sums[i][j]);
        };
    }
}

/// Rows and columns of x.
const Patch = struct { r: usize, r_count: usize, k: usize, k_count: usize };

fn addPiece(x: *const View, patch: Patch, scratch: *Scratch, w_count: usize) void {
    var i: usize = 0;
    while (i + tile_x <= patch.r_count) : (i += tile_x) {
        addRows(tile_x, x, patch, i, scratch, w_count);
    }
    while (i < patch.r_count) : (i += 1) addRows(1, x, patch, i, scratch, w_count);
}

fn addRows(
    comptime x_count: usize,
    x: *const View,
    patch: Patch,
    i: usize,
    scratch: *Scratch,
    w_count: usize,
) void {
    const rows = xRows(x_count, x, patch.r + i, patch.k);
    var j: usize = 0;
    while (j + tile_w <= w_count) : (j += tile_w) {
        addTile(x_count, tile_w, rows, patch.k_count, scratch, i, j);
    }
    while (j < w_count) : (j += 1) addTile(x_count, 1, rows, patch.k_count, scratch, i, j);
}

fn addTile(
    comptime x_count: usize,
    comptime w_count: usize,
    x: [x_count][*]align(1) const f32,
    k_count: usize,
    scratch: *Scratch,
    i: usize,
    j: usize,
) void {
    var w: [w_count][*]align(1) const f32 = undefined;
    inline for (&w, 0..) |*row, n| row.* = &scratch.weights[j + n];
    var sums: [x_count][w_count]F32 = undefined;
    inline for (&sums, 0..) |*of_row, m| of_row.* = scratch.sums[i + m][j..][0..w_count].*;
    accumulate(f32, x_count, w_count, x, w, k_count, &sums);
    inline for (sums, 0..) |of_row, m| scratch.sums[i + m][j..][0..w_count].* = of_row;
}

inline fn xRows(
    comptime count: usize,
    x: *const View,
    r: usize,
    k: usize,
) [count][*]align(1) const f32 {
    var rows: [count][*]align(1) const f32 = undefined;
    inline for (&rows, 0..) |*row, i| row.* = x.row(f32, r + i).ptr + k;
    return rows;
}

/// sums[i][j] += x[i] * w[j], lane by lane.
inline fn accumulate(
    comptime T: type,
    comptime x_count: usize,
    comptime w_count: usize,
    x: [x_count][*]align(1) const f32,
    w: [w_count][*]align(1) const T,
    count: usize,
    sums: *[x_count][w_count]F32,
) void {
    var k: usize = 0;
    while (k + lanes.width <= count) : (k += lanes.width) {
        var weights: [w_count]F32 = undefined;
        inline for (&weights, w) |*weight, row| weight.* = lanes.load(T, row + k);
        inline for (x, 0..) |row, i| {
            const values = lanes.load(f32, row + k);
            inline for (weights, 0..) |weight, j| {
                sums[i][j] = lanes.addProduct(sums[i][j], values, weight);
            }
        }
    }
    if (k == count) return;
    inline for (x, 0..) |x_row, i| inline for (w, 0..) |w_row, j| {
        const values = lanes.loadTail(f32, x_row + k, count - k);
        const weights = lanes.loadTail(T, w_row + k, count - k);
        sums[i][j] = lanes.addProduct(sums[i][j], values, weights);
    };
}

fn finish(task: *const Task, r: usize, n: usize, sum: F32) void {
    const bias = if (task.attr(Attrs).has_bias != 0) task.in(2).ptr(f32)[n] else 0;
    const y = lanes.fold(sum);
    task.out(0).row(f32, r)[n] = if (task.attr(Attrs).has_bias != 0) y + bias else y;
}

const testing = @import("testing.zig");

fn expectProduct(x: View, w: View, bias: ?[]const f32, y: View) !void {
    const gpa = std.testing.allocator;
    const row = try gpa.alloc(f32, w.dims[1]);
    defer gpa.free(row);
    for (0..w.dims[0]) |n| {
        blocks.decode(&w, n, 0, row);
        for (0..x.dims[0]) |r| {
            const sum = lanes.dot(f32, x.row(f32, r).ptr, row.ptr, row.len);
            const want = if (bias) |b| sum + b[n] else sum;
            try std.testing.expectEqual(want, y.row(f32, r)[n]);
        }
    }
}

test "dense_matmul: equals the sixteen-lane dot for every dtype and any number of rows" {
    inline for (.{ f32, f16, lanes.Bf16 }) |T| {
        for ([_]u32{ 1, 3, 5, 70 }) |rows| {
            const k_count = 531;
            const n_count = 37;
            var x: [70 * k_count]f32 = undefined;
            var w: [n_count * k_count + 1]T = undefined;
            var bias: [n_count]f32 = undefined;
            var y: [70 * n_count]f32 = undefined;
            testing.fillNormal(f32, &x, 1, 1);
            testing.fillNormal(T, &w, 2, 1);
            testing.fillNormal(f32, &bias, 3, 1);
            const bytes = std.mem.sliceAsBytes(&w);
            std.mem.copyBackwards(u8, bytes[1..], bytes[0 .. bytes.len - 1]);
            const dims = [_]u32{ n_count, k_count };
            var weights = testing.strided(u8, bytes[1..].ptr, &dims, &.{ k_count, 1 });
            weights.dtype = testing.dtypeOf(T);
            const inputs = [_]View{
                testing.dense(f32, x[0 .. rows * k_count], &.{ rows, k_count }),
                weights,
                testing.dense(f32, &bias, &.{n_count}),
            };
            const output = testing.dense(f32, y[0 .. rows * n_count], &.{ rows, n_count });
            const written = [_][]u8{std.mem.sliceAsBytes(y[0 .. rows * n_count])};
            try testing.runSplit(run, &inputs, &.{output}, Attrs{ .has_bias = 1 }, &written);
            try expectProduct(inputs[0], weights, &bias, output);
            try testing.runSplit(run, inputs[0..2], &.{output}, Attrs{ .has_bias = 0 }, &written);
            try expectProduct(inputs[0], weights, null, output);
        }
    }
}

test "dense_matmul: block weights equal their f32 rows" {
    for ([_]task_types.Layout{ .q8_0, .q4_0, .q4_k, .q6_k }) |layout| {
        const k_count = 768;
        var x: [5 * k_count]f32 = undefined;
        var y: [5 * 34]f32 = undefined;
        testing.fillNormal(f32, &x, 1, 1);
        var bytes: [34 * k_count / 32 * 34]u8 = undefined;
        testing.fillInteger(u8, &bytes, 3, 0, 60);
        const inputs = [_]View{
            testing.dense(f32, &x, &.{ 5, k_count }),
            testing.packedRows(layout, &bytes, 34, k_count),
        };
        const output = testing.dense(f32, &y, &.{ 5, 34 });
        const written = [_][]u8{std.mem.sliceAsBytes(&y)};
        try testing.runSplit(run, &inputs, &.{output}, Attrs{ .has_bias = 0 }, &written);
        try expectProduct(inputs[0], inputs[1], null, output);
    }
}
