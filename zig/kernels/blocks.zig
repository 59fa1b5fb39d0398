//! Rows of weights as f32, from any layout a matrix of floats can have: strided f32, f16 and bf16
//! of any alignment, and the GGUF blocks q8_0, q4_0 (32 values), q4_k and q6_k (256 values).
//!
//! q8_0: d * q. q4_0: d * (q - 8). q4_k: (d * scale) * q - (dmin * min) for each 32 values.
//! q6_k: (d * scale) * (q - 32) for each 16 values. Products are rounded in this order.
//! Source: github.com/ggml-org/ggml, docs/gguf.md and the block definitions of ggml-common.h.

const std = @import("std");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");

const View = task_types.View;
const Layout = task_types.Layout;

const Bytes = @Vector(lanes.width, u8);

/// Columns at which a row can be entered, in every layout.
pub const column_step = 256;

/// Bytes ahead of a block that are asked for early: blocks are too short for the processor to see
/// the stream.
const prefetch_distance = 1280;

pub fn valuesPerBlock(layout: Layout) usize {
    return switch (layout) {
        .q8_0, .q4_0 => 32,
        .q4_k, .q6_k => 256,
        else => unreachable,
    };
}

pub fn bytesPerBlock(layout: Layout) usize {
    return switch (layout) {
        .q8_0 => 34,
        .q4_0 => 18,
        .q4_k => 144,
        .q6_k => 210,
        else => unreachable,
    };
}

/// The start of row `index` of a strided matrix, of any alignment.
pub inline fn looseRow(comptime T: type, view: *const View, index: usize) [*]align(1) const T {
    const offset = @as(i64, @intCast(index)) * view.strides[0] * @sizeOf(T);
    return @ptrFromInt(@intFromPtr(view.data) +% @as(usize, @bitCast(offset)));
}

/// Columns `start..` of row `index` as f32 into `target`; `start` is a multiple of `column_step`.
pub fn decode(view: *const View, index: usize, start: usize, target: []f32) void {
    std.debug.assert(start % column_step == 0);
    std.debug.assert(start + target.len <= view.dims[1]);
    switch (view.layout) {
        .strided => switch (view.dtype) {
            .f32 => decodeStrided(f32, looseRow(f32, view, index) + start, target),
            .f16 => decodeStrided(f16, looseRow(f16, view, index) + start, target),
            .bf16 => decodeStrided(lanes.Bf16, looseRow(lanes.Bf16, view, index) + start, target),
            else => unreachable,
        },
        inline .q8_0, .q4_0, .q4_k, .q6_k => |layout| {
            const per_block = comptime valuesPerBlock(layout);
            const size = comptime bytesPerBlock(layout);
            std.debug.assert(target.len % per_block == 0);
            const row_blocks = view.dims[1] / per_block;
            const first = view.data + (index * row_blocks + start / per_block) * size;
            for (0..target.len / per_block) |i| {
                const block = (first + i * size)[0..size];
                prefetch(size, first + i * size + prefetch_distance);
                const values = target[i * per_block ..][0..per_block];
                switch (layout) {
                    .q8_0 => decodeQ8_0(block, values),
                    .q4_0 => decodeQ4_0(block, values),
                    .q4_k => decodeQ4K(block, values),
                    .q6_k => decodeQ6K(block, values),
                    else => comptime unreachable,
                }
            }
        },
        else => unreachable,
    }
}

inline fn prefetch(comptime size: usize, from: [*]const u8) void {
    comptime var offset = 0;
    inline while (offset < size) : (offset += 64) @prefetch(from + offset, .{});
}

fn decodeStrided(comptime T: type, source: [*]align(1) const T, target: []f32) void {
    var i: usize = 0;
    while (i + lanes.width <= target.len) : (i += lanes.width) {
        lanes.store(f32, target.ptr + i, lanes.load(T, source + i));
    }
    const count = target.len - i;
    if (count > 0) {
        const tail = lanes.loadTail(T, source + i, count);
        lanes.storeTail(f32, target.ptr + i, tail, count);
    }
}

inline fn scaleAt(block: []const u8, offset: usize) f32 {
    return lanes.toF32(f16, @bitCast(std.mem.readInt(u16, block[offset..][0..2], .little)));
}

inline fn bytesAt(block: []const u8, offset: usize) Bytes {
    return block[offset..][0..lanes.width].*;
}

inline fn nibbles(bytes: Bytes, high: bool) Bytes {
    return if (high) bytes >> @splat(4) else bytes & @as(Bytes, @splat(15));
}

inline fn toFloat(bytes: Bytes) lanes.F32 {
    return @floatFromInt(@as(lanes.I32, @intCast(bytes)));
}

fn decodeQ8_0(block: *const [34]u8, values: *[32]f32) void {
    const d = lanes.splat(scaleAt(block, 0));
    inline for (0..2) |i| {
        const q: @Vector(lanes.width, i8) = @bitCast(bytesAt(block, 2 + 16 * i));
        lanes.store(f32, values[16 * i ..], @as(lanes.F32, @floatFromInt(@as(lanes.I32, q))) * d);
    }
}

fn decodeQ4_0(block: *const [18]u8, values: *[32]f32) void {
    const d = lanes.splat(scaleAt(block, 0));
    const q = bytesAt(block, 2);
    inline for (.{ false, true }, 0..) |high, i| {
        const centered = toFloat(nibbles(q, high)) - lanes.splat(8);
        lanes.store(f32, values[16 * i ..], centered * d);
    }
}

/// Bytes: d, dmin (f16), eight 6-bit scales and minima in 12 bytes, 128 bytes of nibbles.
fn decodeQ4K(block: *const [144]u8, values: *[256]f32) void {
    const d = scaleAt(block, 0);
    const d_min = scaleAt(block, 2);
    const packed_scales = block[4..16];
    for (0..8) |part| {
        const pair = scalesQ4K(packed_scales, part);
        const scale = lanes.splat(d * pair.scale);
        const min = lanes.splat(d_min * pair.min);
        inline for (0..2) |i| {
            const q = bytesAt(block, 16 + part / 2 * 32 + 16 * i);
            const nibble = if (part % 2 == 1) nibbles(q, true) else nibbles(q, false);
            lanes.store(f32, values[part * 32 + 16 * i ..].ptr, toFloat(nibble) * scale - min);
        }
    }
}

fn scalesQ4K(bytes: *const [12]u8, part: usize) struct { scale: f32, min: f32 } {
    if (part < 4) return .{
        .scale = @floatFromInt(bytes[part] & 63),
        .min = @floatFromInt(bytes[part + 4] & 63),
    };
    const scale = (bytes[part + 4] & 15) | (bytes[part - 4] >> 6 << 4);
    const min = (bytes[part + 4] >> 4) | (bytes[part] >> 6 << 4);
    return .{ .scale = @floatFromInt(scale), .min = @floatFromInt(min) };
}

/// Bytes: low nibbles (128), upper pairs of bits (64), sixteen i8 scales, d (f16).
fn decodeQ6K(block: *const [210]u8, values: *[256]f32) void {
    const d = scaleAt(block, 208);
    const scales: *const [16]i8 = @ptrCast(block[192..208]);
    inline for (0..16) |part| {
        const half = part / 8;
        const quarter = part / 2 % 4;
        const side = part % 2;
        const low = bytesAt(block, half * 64 + quarter % 2 * 32 + side * 16);
        const pairs = bytesAt(block, 128 + half * 32 + side * 16) >> @splat(2 * quarter);
        const upper = (pairs & @as(Bytes, @splat(3))) << @splat(4);
        const q = nibbles(low, quarter >= 2) | upper;
        const scale = lanes.splat(d * @as(f32, @floatFromInt(scales[part])));
        lanes.store(f32, values[16 * part ..], (toFloat(q) - lanes.splat(32)) * scale);
    }
}

test "decode: blocks equal the values of gguf-py 0.19.0, by checksum of their f32 bytes" {
    const testing = @import("testing.zig");
    const Case = struct { layout: Layout, values: u32, checksum: u32, hex: []const u8 };
    const cases = [_]Case{
        .{
            .layout = .q8_0,
            .values = 64,
            .checksum = 0x411e7afc,
            .hex = "4d307ade3989843c66705b0009807446f5bc2b6748e602300cc1b5d1f90a27437640942ef1ee" ++
                "ddd678d1f6ceb67d77cb5d7f75fb5bf72a1da13ed3a93e175359bf6efc7a",
        },
        .{
            .layout = .q4_0,
            .values = 64,
            .checksum = 0x9124018b,
            .hex = "9228ea344709f07588c9a9473bf498a3c1ea2e308026e4ea142cd9da872156e130f9a597",
        },
        .{
            .layout = .q4_k,
            .values = 256,
            .checksum = 0xe88853fe,
            .hex = "4230932ace6b4110cf6e2f3693690b8dcac9e367b9d4c996646f07b815b0194bac9a1734f6db" ++
                "d2e22bf59a9980a0603d6666258d00cad224809458bb0e06304f963d55ff8d7ea0563c3f8ed7" ++
                "c19d52e276b76225046a35a8bcff91583457371f56b99a85d467c76430299763085b4e1ac5d8" ++
                "d159c863aab4391bf051fdeddddad7e813606661ef1783eaa4d249c8f87f",
        },
        .{
            .layout = .q6_k,
            .values = 256,
            .checksum = 0x9cd8f8e3,
            .hex = "9df9794432d4d55a2febed539a8143c51d110a0bf3c597791007ac8c494fb5727bd5a5900e34" ++
                "54b688fb7bc466954257cefbfdb86b5b72c3b7e160dcfa53e671ee6c901dc41194bd17258f9b" ++
                "c26e92b24b6d14b966e100f2c4173bf95fd39c686627c1063f665759ead5680eb82aadfebeab" ++
                "b0c3ce642f842528cdb234c0206be6ddafd8b42063b37341ffc0d6880840aa6de01efb262ff5" ++
                "6bd3cbc86c5efcc0a9344d20291a27a6702694a156a1b64a285093a81af72fcfbf33c0bf351c" ++
                "4cebedfcd37a80d999ca7f139ca610ce8be9a82e",
        },
    };
    for (cases) |case| {
        var bytes: [256]u8 = undefined;
        var values: [256]f32 = undefined;
        const block = try std.fmt.hexToBytes(&bytes, case.hex);
        const view = testing.packedRows(case.layout, block, 1, case.values);
        decode(&view, 0, 0, values[0..case.values]);
        const got = std.mem.sliceAsBytes(values[0..case.values]);
        try std.testing.expectEqual(case.checksum, std.hash.Crc32.hash(got));
    }
}

test "decode: a row of q4_k blocks can be entered at its second block, of the second row" {
    const testing = @import("testing.zig");
    var bytes: [4 * 144]u8 = undefined;
    testing.fillInteger(u8, &bytes, 3, 0, 60);
    const view = testing.packedRows(.q4_k, &bytes, 2, 512);
    const alone = testing.packedRows(.q4_k, bytes[3 * 144 ..], 1, 256);
    var got: [256]f32 = undefined;
    var want: [256]f32 = undefined;
    decode(&view, 1, 256, &got);
    decode(&alone, 0, 0, &want);
    try std.testing.expectEqualSlices(f32, &want, &got);
}

test "decode: strided rows of any alignment, with a tail" {
    const testing = @import("testing.zig");
    var values: [2 * 40]f16 = undefined;
    testing.fillNormal(f16, &values, 1, 1);
    var bytes: [2 * @sizeOf(@TypeOf(values))]u8 = undefined;
    @memcpy(bytes[1..][0..@sizeOf(@TypeOf(values))], std.mem.asBytes(&values));
    var view = testing.strided(u8, bytes[1..], &.{ 2, 35 }, &.{ 40, 1 });
    view.dtype = .f16;
    var got: [35]f32 = undefined;
    decode(&view, 1, 0, &got);
    for (got, values[40..75]) |x, want| try std.testing.expectEqual(@as(f32, want), x);
}
