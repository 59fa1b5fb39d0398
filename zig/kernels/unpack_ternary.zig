//! Ternary weights in the packings of checkpoints to codes -1, 0, 1, or straight to the packings
//! that the matrix product reads, and the scales stored beside.
//!
//! Input: w (N, K) in layout hf_ternary, tq1_0, tq2_0, i2_s_128, i2_s_64 or tiles. Outputs: weights
//! (N, K), i8 without gaps, tile2 or tile3; scales f32: one a block of 256 for TQ, the trailing one
//! for I2_S, else 1. Units of work: rows, or blocks of 32 rows. A stored code is
//! weight + 1. Two bits of 3, which no writer makes, come out as 2, in tiles as 1.

const std = @import("std");
const lanes = @import("lanes.zig");
const pack_tiles = @import("pack_tiles.zig");
const task_types = @import("task.zig");
const TileRows = @import("unpack_tiles.zig").TileRows;
const Task = task_types.Task;
const View = task_types.View;

const block_columns = 256;

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.in(0).layout) {
        .hf_ternary => unpack(HfRows, task),
        .tq1_0 => unpack(BlockRows(Tq1), task),
        .tq2_0 => unpack(BlockRows(Tq2), task),
        .i2_s_128 => unpack(I2sRows(128), task),
        .i2_s_64 => unpack(I2sRows(64), task),
        .tile2 => unpack(TileRows(.tile2), task),
        .tile3 => unpack(TileRows(.tile3), task),
        else => unreachable,
    }
}

fn unpack(comptime Rows: type, task: *const Task) void {
    const rows: Rows = .{ .w = task.in(0) };
    const target = task.out(0);
    if (target.layout == .strided) {
        const share = task.share(target.dims[0]);
        for (share.start..share.end) |row| {
            const weights = target.row(i8, row);
            rows.read(row, 0, @ptrCast(weights));
            for (weights) |*weight| weight.* -= 1;
        }
    } else {
        pack_tiles.packRows(task, target, rows);
    }
    const scales = task.out(1).ptr(f32)[0..task.out(1).dims[0]];
    const share = task.share(scales.len);
    for (scales[share.start..share.end], share.start..) |*scale, index| scale.* = rows.scale(index);
}

/// u8 (ceil(N / 4), K); quarter j of the rows in bits 2j, 2j + 1.
const HfRows = struct {
    w: *const View,

    pub fn read(rows: HfRows, row: usize, column: usize, codes: []u8) void {
        const quarter = (@as(usize, rows.w.dims[0]) + 3) / 4;
        const at = row % quarter * rows.w.dims[1] + column;
        unpackPairs(rows.w.data[at..][0..codes.len], 2 * (row / quarter), codes);
    }

    fn scale(_: HfRows, _: usize) f32 {
        return 1;
    }
};

/// One pair of bits of every byte.
fn unpackPairs(source: []const u8, shift: usize, codes: []u8) void {
    const amount: u3 = @intCast(shift);
    var i: usize = 0;
    inline for (.{ 64, 32 }) |width| {
        const Bytes = @Vector(width, u8);
        const three: Bytes = @splat(3);
        while (i + width <= source.len) : (i += width) {
            const bytes: Bytes = source[i..][0..width].*;
            codes[i..][0..width].* = (bytes >> @splat(amount)) & three;
        }
    }
    for (source[i..], codes[i..]) |byte, *code| code.* = (byte >> amount) & 3;
}

/// Blocks of 256 columns of a row, the scale in the last two bytes of each.
fn BlockRows(comptime Block: type) type {
    return struct {
        w: *const View,

        pub fn read(rows: @This(), row: usize, column: usize, codes: []u8) void {
            const first = (row * rows.w.dims[1] + column) / block_columns;
            for (0..codes.len / block_columns) |index| {
                const source = rows.w.data[(first + index) * Block.size ..][0 .. Block.size - 2];
                Block.unpack(source, codes[index * block_columns ..][0..block_columns]);
            }
        }

        fn scale(rows: @This(), index: usize) f32 {
            const end = (index + 1) * Block.size;
            const bits = std.mem.readInt(u16, rows.w.data[end - 2 ..][0..2], .little);
            return lanes.fromF16(@splat(bits))[0];
        }
    };
}

/// 64 bytes, each 32 of them four times 32 weights from the lowest bits up; f16 scale.
const Tq2 = struct {
    const size = 66;

    fn unpack(source: *const [size - 2]u8, codes: *[block_columns]u8) void {
        inline for (0..2) |half| inline for (0..4) |pair| {
            const target = codes[half * 128 + pair * 32 ..][0..32];
            unpackPairs(source[half * 32 ..][0..32], 2 * pair, target);
        };
    }
};

/// 48 bytes of five base-3 digits (32 of them, then 16), 4 bytes of four; f16 scale.
const Tq1 = struct {
    const size = 54;

    fn unpack(source: *const [size - 2]u8, codes: *[block_columns]u8) void {
        unpackDigits(32, 5, source[0..32], codes[0..160]);
        unpackDigits(16, 5, source[32..48], codes[160..240]);
        unpackDigits(4, 4, source[48..52], codes[240..256]);
    }
};

/// A byte holds a fraction of 256 in base 3: times 3, the digit is what overflows.
fn unpackDigits(
    comptime count: usize,
    comptime digits: usize,
    source: *const [count]u8,
    codes: *[count * digits]u8,
) void {
    var rest: @Vector(count, u8) = source.*;
    inline for (0..digits) |digit| {
        const tripled = @as(@Vector(count, u16), rest) * @as(@Vector(count, u16), @splat(3));
        const whole: @Vector(count, u8) = @intCast(tripled >> @splat(8));
        codes[digit * count ..][0..count].* = whole;
        rest = @truncate(tripled);
    }
}

/// Blocks of 128 (64) weights in 32 (16) bytes, quarters of the block from the highest bits down,
/// then an f32 scale. They run through the whole matrix: a row may begin and end inside of one.
fn I2sRows(comptime block: usize) type {
    return struct {
        w: *const View,
        const quarter = block / 4;

        pub fn read(rows: @This(), row: usize, column: usize, codes: []u8) void {
            var done: usize = 0;
            while (done < codes.len) {
                const at = row * rows.w.dims[1] + column + done;
                const inside = at % block;
                const count = @min(quarter - inside % quarter, codes.len - done);
                const source = rows.w.data[at / block * quarter + inside % quarter ..][0..count];
                unpackPairs(source, 6 - 2 * (inside / quarter), codes[done..][0..count]);
                done += count;
            }
        }

        fn scale(rows: @This(), _: usize) f32 {
            const count = @as(usize, rows.w.dims[0]) * rows.w.dims[1];
            const size = (count + block - 1) / block * quarter;
            return @bitCast(std.mem.readInt(u32, rows.w.data[size..][0..4], .little));
        }
    };
}

const testing = @import("testing.zig");

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
    var bytes: [6 * Tq2.size]u8 = undefined;
    var want: [6 * 256]i8 = undefined;
    var scales: [6]f32 = undefined;
    for (0..6) |i| {
        @memcpy(bytes[i * Tq2.size ..][0..Tq2.size], &one);
        bytes[i * Tq2.size] = @intCast(i & 1);
        const scale: f16 = @floatFromInt(i);
        std.mem.writeInt(u16, bytes[i * Tq2.size + 64 ..][0..2], @bitCast(scale), .little);
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

test "unpack_ternary: tiles come back, also at ragged ends and as other tiles" {
    var bytes: [3 * 3 * 128]u8 align(64) = undefined;
    var codes: [67 * 45]i8 = undefined;
    testing.fillInteger(i8, &codes, 4, -1, 1);
    inline for (.{ .tile2, .tile3 }) |layout| {
        const from = [_]View{testing.dense(i8, &codes, &.{ 67, 45 })};
        const to = [_]View{testing.packedRows(layout, &bytes, 67, 45)};
        try testing.runSplit(&pack_tiles.run, &from, &to, {}, &.{&bytes});
        try checkPacked(layout, &bytes, &codes, .{ 67, 45 }, &.{1});
    }
}
