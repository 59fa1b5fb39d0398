//! a[r] = levels / max(max_i |x[r, i]|, 1e-5); q[r, i] = round(x[r, i] * a[r]), half to even.
//!
//! x: f32 (R, D) rows, or weights of any layout blocks.zig decodes. q: i8 or i16 (R, D) rows,
//! clipped to [-levels - 1, levels]. a: f32 (R). What is not a number counts as smallest. Units of
//! work: rows.

const std = @import("std");
const blocks = @import("blocks.zig");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;

/// `levels` is the largest magnitude: 127 for i8 outputs, up to 32767 for i16.
pub const Attrs = extern struct { levels: u32 };

/// Columns decoded at a time where x is not f32.
const piece_count = 4096;
pub const Piece = [piece_count]f32;

comptime {
    std.debug.assert(piece_count % blocks.column_step == 0);
}

pub fn run(task: *const Task) callconv(.c) void {
    const levels: f32 = @floatFromInt(task.attr(Attrs).levels);
    const decoded: *Piece = @ptrCast(task.scratch);
    const x = task.in(0);
    const q = task.out(0);
    const a = task.out(1).ptr(f32);
    const share = task.share(x.dims[0]);
    for (share.start..share.end) |index| {
        a[index] = switch (q.dtype) {
            .i8 => quantizeRow(i8, x, index, q.row(i8, index), levels, decoded),
            .i16 => quantizeRow(i16, x, index, q.row(i16, index), levels, decoded),
            else => unreachable,
        };
    }
}

/// Quantizes one row of x to `q` and returns its a.
pub fn quantizeRow(
    comptime T: type,
    x: *const View,
    index: usize,
    q: []T,
    levels: f32,
    decoded: *Piece,
) f32 {
    var largest = lanes.zero;
    var piece: []const f32 = &.{};
    var start: usize = 0;
    while (start < q.len) : (start += piece_count) {
        piece = pieceOf(x, index, start, decoded);
        largest = magnitude(piece, largest);
    }
    const a = factorOf(lanes.foldMax(largest), levels);
    start = 0;
    while (start < q.len) : (start += piece_count) {
        // A row of one piece is decoded already.
        if (q.len > piece_count) piece = pieceOf(x, index, start, decoded);
        var i: usize = 0;
        while (i + together <= piece.len) : (i += together) {
            inline for (0..together / lanes.width) |part| {
                const at = i + part * lanes.width;
                const values = lanes.load(f32, piece.ptr + at);
                storeQuantized(T, q.ptr + start + at, values, a, levels, lanes.width);
            }
        }
        while (i < piece.len) : (i += lanes.width) {
            const left = piece.len - i;
            const values = lanes.loadUpTo(f32, piece.ptr + i, left);
            storeQuantized(T, q.ptr + start + i, values, a, levels, left);
        }
    }
    return a;
}

/// Elements whose work does not wait for each other.
const together = 4 * lanes.width;

/// Columns `start..` of a row: in place where they are aligned f32, else decoded.
fn pieceOf(x: *const View, index: usize, start: usize, decoded: *Piece) []const f32 {
    const count = @min(piece_count, x.dims[1] - start);
    const in_place = x.layout == .strided and x.dtype == .f32 and
        @intFromPtr(x.data) % @alignOf(f32) == 0;
    if (in_place) return x.row(f32, index)[start..][0..count];
    blocks.decode(x, index, start, decoded[0..count]);
    return decoded[0..count];
}

fn magnitude(x: []const f32, so_far: lanes.F32) lanes.F32 {
    var parts: [together / lanes.width]lanes.F32 = @splat(lanes.zero);
    var i: usize = 0;
    while (i + together <= x.len) : (i += together) {
        inline for (&parts, 0..) |*part, index| {
            const values = lanes.load(f32, x.ptr + i + index * lanes.width);
            part.* = lanes.max(@abs(values), part.*);
        }
    }
    var largest = so_far;
    inline for (parts) |part| largest = lanes.max(part, largest);
    while (i < x.len) : (i += lanes.width) {
        largest = lanes.max(@abs(lanes.loadUpTo(f32, x.ptr + i, x.len - i)), largest);
    }
    return largest;
}

/// Steps per unit, for a row whose largest magnitude is `largest`.
pub inline fn factorOf(largest: f32, levels: f32) f32 {
    return levels / (if (largest > 1e-5) largest else 1e-5);
}

/// Writes sixteen quantized values, or as many as are `left`.
pub inline fn storeQuantized(
    comptime T: type,
    target: [*]T,
    x: lanes.F32,
    a: f32,
    levels: f32,
    left: usize,
) void {
    const rounded = lanes.roundClip(x * lanes.splat(a), -levels - 1, levels);
    const q: [lanes.width]T = @as(@Vector(lanes.width, T), @truncate(rounded));
    if (left >= lanes.width) {
        target[0..lanes.width].* = q;
    } else {
        for (0..left) |i| target[i] = q[i];
    }
}

const testing = @import("testing.zig");

fn expectQuantized(comptime T: type, x: []const f32, q: []const T, a: f32, levels: f32) !void {
    var largest: f32 = 1e-5;
    for (x) |value| largest = @max(largest, @abs(value));
    try std.testing.expectEqual(levels / largest, a);
    for (x, q) |value, got| {
        const scaled = value * a;
        const down = @floor(scaled);
        const odd = @mod(down, 2) == 1;
        const up = scaled - down > 0.5 or (scaled - down == 0.5 and odd);
        const want = std.math.clamp(if (up) down + 1 else down, -levels - 1, levels);
        try std.testing.expectEqual(want, @as(f32, @floatFromInt(got)));
    }
}

test "quantize_rows: i8 and i16 equal the definition, however the work is split" {
    inline for (.{ i8, i16 }, .{ 127, 7000 }) |T, levels| {
        for ([_]u32{ 1, 15, 160, 5000 }) |cols| {
            const gpa = std.testing.allocator;
            const x = try gpa.alloc(f32, 3 * cols);
            defer gpa.free(x);
            const q = try gpa.alloc(T, 3 * cols);
            defer gpa.free(q);
            testing.fillNormal(f32, x, cols, 2);
            @memset(x[cols..][0..cols], 0);
            var a: [3]f32 = undefined;
            const inputs = [_]View{testing.dense(f32, x, &.{ 3, cols })};
            const outputs = [_]View{
                testing.dense(T, q, &.{ 3, cols }),
                testing.dense(f32, &a, &.{3}),
            };
            const bytes = [_][]u8{ std.mem.sliceAsBytes(q), std.mem.sliceAsBytes(&a) };
            try testing.runSplit(run, &inputs, &outputs, Attrs{ .levels = levels }, &bytes);
            for (0..3) |r| {
                const row = x[r * cols ..][0..cols];
                try expectQuantized(T, row, q[r * cols ..][0..cols], a[r], levels);
            }
        }
    }
}

test "quantize_rows: ties go to even" {
    var x = [_]f32{ 127, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5, 126.5 };
    var q: [8]i8 = undefined;
    var a: [1]f32 = undefined;
    const inputs = [_]View{testing.dense(f32, &x, &.{ 1, 8 })};
    const outputs = [_]View{ testing.dense(i8, &q, &.{ 1, 8 }), testing.dense(f32, &a, &.{1}) };
    _ = testing.run(run, &inputs, &outputs, Attrs{ .levels = 127 }, .{});
    try std.testing.expectEqual([_]i8{ 127, 0, 2, 2, 0, -2, -126, 126 }, q);
}

test "quantize_rows: weights in bf16 and in q8_0 blocks quantize as their f32 values" {
    const cols = 4096 + 64;
    var weights: [2 * cols]lanes.Bf16 = undefined;
    testing.fillNormal(lanes.Bf16, &weights, 4, 0.1);
    var bytes: [2 * cols / 32 * 34]u8 = undefined;
    testing.fillInteger(u8, &bytes, 6, 0, 120);
    const views = [_]View{
        testing.dense(lanes.Bf16, &weights, &.{ 2, cols }),
        testing.packedRows(.q8_0, &bytes, 2, cols),
    };
    for (views) |view| {
        var q: [2 * cols]i8 = undefined;
        var a: [2]f32 = undefined;
        const outputs = [_]View{
            testing.dense(i8, &q, &.{ 2, cols }),
            testing.dense(f32, &a, &.{2}),
        };
        _ = testing.run(run, &.{view}, &outputs, Attrs{ .levels = 127 }, .{});
        for (0..2) |r| {
            var x: [cols]f32 = undefined;
            blocks.decode(&view, r, 0, &x);
            try expectQuantized(i8, &x, q[r * cols ..][0..cols], a[r], 127);
        }
    }
}
