//! Ternary weights in the packings of checkpoints to codes -1, 0, 1 and the scales stored beside.
//!
//! Input: w (N, K) in layout hf_ternary, tq1_0, tq2_0, i2_s_128 or i2_s_64. Outputs: codes i8
//! (N, K), scales f32: one a block of 256 for TQ, the trailing one for I2_S, 1 for Hugging Face.
//!
//! hf_ternary: u8 (ceil(N / 4), K); quarter j of the rows in bits 2j, 2j + 1.
//! tq2_0: 64 bytes, each 32 of them four times 32 weights from the lowest bits up; f16 scale.
//! tq1_0: 48 bytes of five base-3 digits (32 of them, then 16), 4 bytes of four; f16 scale.
//! i2_s: over the whole matrix, blocks of 128 (64) weights in 32 (16) bytes, quarters of the block
//! from the highest bits down; f32 scale after the last block.
//! A code is weight + 1. Two bits of 3, which no writer makes, come out as 2. Workers take rows.

const std = @import("std");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");
const Task = task_types.Task;

const block_columns = 256;
const tq1_size = 54;
const tq2_size = 66;

pub fn run(task: *const Task) callconv(.c) void {
    const share = task.share(task.in(0).dims[0]);
    switch (task.in(0).layout) {
        .hf_ternary => {
            for (share.start..share.end) |n| unpackHf(task, n);
            if (task.worker == 0) task.out(1).ptr(f32)[0] = 1;
        },
        .tq1_0 => for (share.start..share.end) |n| unpackBlocks(tq1_size, unpackTq1, task, n),
        .tq2_0 => for (share.start..share.end) |n| unpackBlocks(tq2_size, unpackTq2, task, n),
        .i2_s_128 => unpackI2s(128, task),
        .i2_s_64 => unpackI2s(64, task),
        else => unreachable,
    }
}

fn unpackHf(task: *const Task, n: usize) void {
    const w = task.in(0);
    const columns = w.dims[1];
    const quarter = (@as(usize, w.dims[0]) + 3) / 4;
    const source = w.data[n % quarter * columns ..][0..columns];
    unpackPairs(source, 2 * (n / quarter), task.out(0).row(i8, n));
}

/// One pair of bits of every byte, less one.
fn unpackPairs(source: []const u8, shift: usize, codes: []i8) void {
    const width = 32;
    const Bytes = @Vector(width, u8);
    const three: Bytes = @splat(3);
    const one: @Vector(width, i8) = @splat(1);
    const amount: u3 = @intCast(shift);
    var i: usize = 0;
    while (i + width <= source.len) : (i += width) {
        const bytes: Bytes = source[i..][0..width].*;
        const pairs: @Vector(width, i8) = @bitCast((bytes >> @splat(amount)) & three);
        codes[i..][0..width].* = pairs - one;
    }
    for (source[i..], codes[i..]) |byte, *code| {
        code.* = @as(i8, @intCast((byte >> amount) & 3)) - 1;
    }
}

fn unpackBlocks(
    comptime size: usize,
    comptime unpack: fn (source: *const [size - 2]u8, codes: *[block_columns]i8) void,
    task: *const Task,
    n: usize,
) void {
    const w = task.in(0);
    const blocks = w.dims[1] / block_columns;
    const codes = task.out(0).row(i8, n);
    const scales = task.out(1).ptr(f32)[n * blocks ..][0..blocks];
    for (scales, 0..) |*scale, block| {
        const source = w.data[(n * blocks + block) * size ..][0..size];
        unpack(source[0 .. size - 2], codes[block * block_columns ..][0..block_columns]);
        const bits = std.mem.readInt(u16, source[size - 2 ..], .little);
        scale.* = lanes.fromF16(@splat(bits))[0];
    }
}

fn unpackTq2(source: *const [tq2_size - 2]u8, codes: *[block_columns]i8) void {
    for (0..2) |half| for (0..4) |pair| {
        unpackPairs(source[half * 32 ..][0..32], 2 * pair, codes[half * 128 + pair * 32 ..][0..32]);
    };
}

fn unpackTq1(source: *const [tq1_size - 2]u8, codes: *[block_columns]i8) void {
    unpackDigits(32, 5, source[0..32], codes[0..160]);
    unpackDigits(16, 5, source[32..48], codes[160..240]);
    unpackDigits(4, 4, source[48..52], codes[240..256]);
}

/// A byte holds a fraction of 256 in base 3: times 3, the digit is what overflows.
fn unpackDigits(
    comptime count: usize,
    comptime digits: usize,
    source: *const [count]u8,
    codes: *[count * digits]i8,
) void {
    var rest: @Vector(count, u8) = source.*;
    inline for (0..digits) |digit| {
        const tripled = @as(@Vector(count, u16), rest) * @as(@Vector(count, u16), @splat(3));
        const whole: @Vector(count, i8) = @intCast(tripled >> @splat(8));
        codes[digit * count ..][0..count].* = whole - @as(@Vector(count, i8), @splat(1));
        rest = @truncate(tripled);
    }
}

/// Blocks run through the whole matrix, so a row may begin and end inside of one.
fn unpackI2s(comptime block: usize, task: *const Task) void {
    const w = task.in(0);
    const share = task.share(w.dims[0]);
    const columns: usize = w.dims[1];
    const quarter = block / 4;
    for (share.start..share.end) |n| {
        const codes = task.out(0).row(i8, n);
        var k: usize = 0;
        while (k < columns) {
            const at = n * columns + k;
            const inside = at % block;
            const count = @min(quarter - inside % quarter, columns - k);
            const source = w.data[at / block * quarter + inside % quarter ..][0..count];
            unpackPairs(source, 6 - 2 * (inside / quarter), codes[k..][0..count]);
            k += count;
        }
    }
    if (task.worker != 0) return;
    const size = (w.dims[0] * columns + block - 1) / block * quarter;
    const bits = std.mem.readInt(u32, w.data[size..][0..4], .little);
    task.out(1).ptr(f32)[0] = @bitCast(bits);
}

const testing = @import("testing.zig");
const View = task_types.View;

fn checkPacked(
    layout: task_types.Layout,
    bytes: []const u8,
    want: []const i8,
    shape: [2]u32,
    want_scales: []const f32,
) !void {
    const gpa = std.testing.allocator;
    const codes = try gpa.alloc(i8, want.len);
    defer gpa.free(codes);
    const scales = try gpa.alloc(f32, want_scales.len);
    defer gpa.free(scales);
    const inputs = [_]View{testing.packedRows(layout, bytes, shape[0], shape[1])};
    const outputs = [_]View{
        testing.dense(i8, codes, &shape),
        testing.dense(f32, scales, &.{@intCast(scales.len)}),
    };
    const written = [_][]u8{ std.mem.sliceAsBytes(codes), std.mem.sliceAsBytes(scales) };
    try testing.runSplit(&run, &inputs, &outputs, {}, &written);
    try std.testing.expectEqualSlices(i8, want, codes);
    try std.testing.expectEqualSlices(f32, want_scales, scales);
}

/// The same 256 weights in every format, as gguf-py and the published I2_S files store them.
const Sample = struct {
    const digits =
        "1120011000201012211012000100021120200121022022022212110202200020" ++
        "2111222102002102221110202211200121210120020120222021112122001120" ++
        "0102122102211002001210221210210010211002010010120011010100210221" ++
        "1201122100110211200021122222110100111010112200111100022010110002";
    const tq1 =
        "a864f40f158baa270055e605a9435cfffda2834880cb1c3f1baa440a19af955f" ++
        "6613c97d673318d7085d4b2f595099d55f8f4310c628";
    const tq2 =
        "a9519a502065a91400a80a40a91881aaaa2995585546a048a0a9181060428911" ++
        "1421485655226219404692910520545a60400506219492266122696412190894" ++
        "c628";
    const i2_s_128 =
        "6a45a60508596a14002aa0016a2442aaaa68562555910a210a6a240409816244" ++
        "144821955588896401918646500815a509015090481686984988691984642016" ++
        "e3c7183d00000000000000000000000000000000000000000000000000000000";
    const i2_s_64 =
        "6a52990211654806001a8a0048285298aa645a559185aa4122aa1014a9410a98" ++
        "044019a55481a06910a492416412068961810444649296602524696910904456" ++
        "e3c7183d00000000000000000000000000000000000000000000000000000000";
    const f16_scale: f32 = 0.03729248046875;
    const f32_scale: f32 = @bitCast(@as(u32, 0x3d18c7e3));
};

fn fromHex(comptime text: []const u8) [text.len / 2]u8 {
    var bytes: [text.len / 2]u8 = undefined;
    _ = std.fmt.hexToBytes(&bytes, text) catch unreachable;
    return bytes;
}

test "unpack_ternary: one block of weights comes out the same from every GGUF packing" {
    var want: [256]i8 = undefined;
    for (&want, Sample.digits) |*code, digit| code.* = @as(i8, @intCast(digit - '0')) - 1;
    const f16_scale = [_]f32{Sample.f16_scale};
    const f32_scale = [_]f32{Sample.f32_scale};
    try checkPacked(.tq1_0, &comptime fromHex(Sample.tq1), &want, .{ 1, 256 }, &f16_scale);
    try checkPacked(.tq2_0, &comptime fromHex(Sample.tq2), &want, .{ 1, 256 }, &f16_scale);
    const i2_s_128 = comptime fromHex(Sample.i2_s_128);
    try checkPacked(.i2_s_128, &i2_s_128, &want, .{ 1, 256 }, &f32_scale);
    try checkPacked(.i2_s_128, &i2_s_128, &want, .{ 8, 32 }, &f32_scale);
    try checkPacked(.i2_s_128, &i2_s_128, want[0..240], .{ 12, 20 }, &f32_scale);
    try checkPacked(.i2_s_64, &comptime fromHex(Sample.i2_s_64), &want, .{ 2, 128 }, &f32_scale);
}

test "unpack_ternary: TQ blocks of several rows keep their order and scales" {
    const one = comptime fromHex(Sample.tq2);
    var bytes: [6 * tq2_size]u8 = undefined;
    var want: [6 * 256]i8 = undefined;
    var scales: [6]f32 = undefined;
    for (0..6) |i| {
        @memcpy(bytes[i * tq2_size ..][0..tq2_size], &one);
        bytes[i * tq2_size] = @intCast(i & 1);
        const scale: f16 = @floatFromInt(i);
        std.mem.writeInt(u16, bytes[i * tq2_size + 64 ..][0..2], @bitCast(scale), .little);
        scales[i] = @floatFromInt(i);
        for (want[i * 256 ..][0..256], Sample.digits) |*code, digit| {
            code.* = @as(i8, @intCast(digit - '0')) - 1;
        }
        for (0..4) |pair| want[i * 256 + 32 * pair] = -1;
        want[i * 256] = @as(i8, @intCast(i & 1)) - 1;
    }
    try checkPacked(.tq2_0, &bytes, &want, .{ 3, 512 }, &scales);
}

test "unpack_ternary: quarters of the rows lie in the bits of Hugging Face's bytes" {
    var bytes: [3 * 37]u8 = undefined;
    var want: [12 * 37]i8 = undefined;
    testing.fillInteger(i8, &want, 9, -1, 1);
    for (0..3) |r| for (0..37) |k| {
        var byte: u8 = 0;
        for (0..4) |j| {
            const code: u8 = @intCast(want[(j * 3 + r) * 37 + k] + 1);
            byte |= code << @intCast(2 * j);
        }
        bytes[r * 37 + k] = byte;
    };
    try checkPacked(.hf_ternary, &bytes, &want, .{ 12, 37 }, &.{1});
}
