//! Ternary codes to the packings of checkpoints: what unpack_ternary reads, byte for byte as the
//! definitions of src/quant write it.
//!
//! Inputs: codes i8 (N, K) without gaps, scale f32 (1). Output: w (N, K) in layout hf_ternary,
//! tq1_0, tq2_0, i2_s_128 or i2_s_64. TQ blocks carry the scale as f16, those of zeros 0; I2_S has
//! it once, in its tail; hf_ternary leaves it to the file. Codes outside -1..1 are taken as their
//! sign. Workers take blocks (rows of bytes for hf_ternary).

const std = @import("std");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");
const Task = task_types.Task;

const block_columns = 256;
const tq1_size = 54;
const tq2_size = 66;
/// The scale of I2_S and the zeros behind it.
const tail_size = 32;

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.out(0).layout) {
        .hf_ternary => packHf(task),
        .tq1_0 => packBlocks(tq1_size, packTq1, task),
        .tq2_0 => packBlocks(tq2_size, packTq2, task),
        .i2_s_128 => packI2s(128, task),
        .i2_s_64 => packI2s(64, task),
        else => unreachable,
    }
}

/// The codes of the whole matrix, (N * K).
fn codesOf(task: *const Task) []const i8 {
    const codes = task.in(0);
    return codes.ptr(i8)[0..codes.elementCount()];
}

/// Weights -1, 0, 1 as 0, 1, 2.
fn digits(comptime width: usize, source: *const [width]i8) @Vector(width, u8) {
    const Codes = @Vector(width, i8);
    const codes: Codes = source.*;
    const one: Codes = @splat(1);
    return @bitCast(@min(@max(codes, -one), one) + one);
}

/// Four runs of `width` codes side by side: the first in the lowest two bits.
fn pairs(comptime width: usize, runs: [4]*const [width]i8) [width]u8 {
    var bytes: @Vector(width, u8) = @splat(0);
    inline for (runs, 0..) |one, index| {
        bytes |= digits(width, one) << @splat(2 * index);
    }
    return bytes;
}

fn packBlocks(
    comptime size: usize,
    comptime pack: fn (codes: *const [block_columns]i8, target: *[size - 2]u8) void,
    task: *const Task,
) void {
    const codes = codesOf(task);
    const scale = lanes.fromF32(f16, task.in(1).ptr(f32)[0]);
    const share = task.share(codes.len / block_columns);
    for (share.start..share.end) |block| {
        const source = codes[block * block_columns ..][0..block_columns];
        const target = task.out(0).data[block * size ..][0..size];
        pack(source, target[0 .. size - 2]);
        const any = @reduce(.Or, @as(@Vector(block_columns, i8), source.*)) != 0;
        std.mem.writeInt(u16, target[size - 2 ..], @bitCast(if (any) scale else 0), .little);
    }
}

fn packTq2(codes: *const [block_columns]i8, target: *[tq2_size - 2]u8) void {
    inline for (0..2) |half| {
        const from = half * 128;
        target[half * 32 ..][0..32].* = pairs(32, .{
            codes[from..][0..32],
            codes[from + 32 ..][0..32],
            codes[from + 64 ..][0..32],
            codes[from + 96 ..][0..32],
        });
    }
}

fn packTq1(codes: *const [block_columns]i8, target: *[tq1_size - 2]u8) void {
    target[0..32].* = packDigits(32, 5, codes[0..160]);
    target[32..48].* = packDigits(16, 5, codes[160..240]);
    target[48..52].* = packDigits(4, 4, codes[240..256]);
}

/// The number of five digits, the first the highest, as the fraction of 256 above it; digits that
/// are not there are 0.
fn packDigits(
    comptime width: usize,
    comptime count: usize,
    codes: *const [width * count]i8,
) [width]u8 {
    const Numbers = @Vector(width, u16);
    var numbers: Numbers = @splat(0);
    inline for (0..5) |digit| {
        numbers *= @splat(3);
        if (digit < count) numbers += digits(width, codes[digit * width ..][0..width]);
    }
    const scaled = numbers * @as(Numbers, @splat(256)) + @as(Numbers, @splat(242));
    return @as(@Vector(width, u8), @intCast(scaled / @as(Numbers, @splat(243))));
}

fn packI2s(comptime block: usize, task: *const Task) void {
    const codes = codesOf(task);
    const quarter = block / 4;
    const blocks = codes.len / block;
    const share = task.share(blocks);
    const bytes = task.out(0).data;
    for (share.start..share.end) |index| {
        const source = codes[index * block ..][0..block];
        bytes[index * quarter ..][0..quarter].* = pairs(quarter, .{
            source[3 * quarter ..][0..quarter],
            source[2 * quarter ..][0..quarter],
            source[quarter..][0..quarter],
            source[0..quarter],
        });
    }
    if (task.worker != 0) return;
    const tail = bytes[blocks * quarter ..][0..tail_size];
    @memset(tail, 0);
    const bits: u32 = @bitCast(task.in(1).ptr(f32)[0]);
    std.mem.writeInt(u32, tail[0..4], bits, .little);
}

/// A row of bytes holds four rows of weights a quarter of the matrix apart, and code 0 for those
/// that lie past its end.
fn packHf(task: *const Task) void {
    const rows: usize = task.in(0).dims[0];
    const columns: usize = task.in(0).dims[1];
    const quarter = (rows + 3) / 4;
    const share = task.share(quarter);
    for (share.start..share.end) |r| {
        const target = task.out(0).data[r * columns ..][0..columns];
        @memset(target, 0);
        for (0..4) |j| {
            if (j * quarter + r >= rows) break;
            addPlane(task.in(0).row(i8, j * quarter + r), @intCast(2 * j), target);
        }
    }
}

fn addPlane(codes: []const i8, shift: u3, target: []u8) void {
    const width = 32;
    var i: usize = 0;
    while (i + width <= codes.len) : (i += width) {
        const plane = digits(width, codes[i..][0..width]) << @splat(shift);
        const bytes: @Vector(width, u8) = target[i..][0..width].*;
        target[i..][0..width].* = bytes | plane;
    }
    for (codes[i..], target[i..]) |*code, *byte| byte.* |= digits(1, code[0..1])[0] << shift;
}

const testing = @import("testing.zig");
const unpack = @import("unpack_ternary.zig").run;
const View = task_types.View;

/// Packs random codes and unpacks them again.
fn expectRoundTrip(layout: task_types.Layout, shape: [2]u32, size: usize) !void {
    const gpa = std.testing.allocator;
    const count = shape[0] * shape[1];
    const codes = try gpa.alloc(i8, 2 * count);
    defer gpa.free(codes);
    testing.fillInteger(i8, codes[0..count], count, -1, 1);
    @memset(codes[0..@min(count, 256)], 0);
    const bytes = try gpa.alloc(u8, size);
    defer gpa.free(bytes);
    const scale = [_]f32{0.375};
    const w = testing.packedRows(layout, bytes, shape[0], shape[1]);
    const inputs = [_]View{
        testing.dense(i8, codes[0..count], &shape),
        testing.dense(f32, &scale, &.{1}),
    };
    try testing.runSplit(&run, &inputs, &.{w}, {}, &.{bytes});

    const is_blocked = layout == .tq1_0 or layout == .tq2_0;
    const scales = try gpa.alloc(f32, if (is_blocked) count / 256 else 1);
    defer gpa.free(scales);
    const outputs = [_]View{
        testing.dense(i8, codes[count..], &shape),
        testing.dense(f32, scales, &.{@intCast(scales.len)}),
    };
    _ = testing.run(&unpack, &.{w}, &outputs, {}, .{});
    try std.testing.expectEqualSlices(i8, codes[0..count], codes[count..]);
    const scale_kept: f32 = if (layout == .hf_ternary) 1 else 0.375;
    for (scales, 0..) |got, index| {
        const zeros = is_blocked and index == 0;
        try std.testing.expectEqual(if (zeros) 0 else scale_kept, got);
    }
}

test "pack_ternary: unpack_ternary gives back what was packed" {
    try expectRoundTrip(.tq1_0, .{ 3, 512 }, 6 * tq1_size);
    try expectRoundTrip(.tq2_0, .{ 3, 512 }, 6 * tq2_size);
    try expectRoundTrip(.i2_s_128, .{ 5, 128 }, 5 * 32 + 32);
    try expectRoundTrip(.i2_s_128, .{ 32, 20 }, 5 * 32 + 32);
    try expectRoundTrip(.i2_s_64, .{ 3, 64 }, 3 * 16 + 32);
    try expectRoundTrip(.hf_ternary, .{ 13, 37 }, 4 * 37);
}
