//! Casts among the plain dtypes, a span of up to 1024 elements at a time: what `copy` and `convert`
//! share. A span is loaded into a block of 32-bit lanes, floats as f32 and integers as i32, changed
//! there, and stored; so a span may be written over its own source.
//!
//! f32 to f16 and bf16, and every float to an integer, rounds half to even, once. What an integer
//! cannot hold becomes its nearest bound, what is not a number 0; a float too large is an infinity.
//! i4 lies two a byte, the low nibble first; behind an odd count the last high nibble is 0. f64 is
//! narrowed while it is loaded; a bool is 1 where a value is not 0.

const std = @import("std");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");

const F32 = lanes.F32;
const I32 = lanes.I32;
const U32 = lanes.U32;
const U16 = lanes.U16;
const width = lanes.width;
const F64 = @Vector(width, f64);
const Nibbles = @Vector(width / 2, u8);

pub const span_count_max = 1024;

/// The dtypes that values are cast among; i4 exists only packed. `copy` alone casts f64 and bool.
pub const Plain = enum(u32) {
    f32,
    f16,
    bf16,
    i32,
    i8,
    u8,
    i4,
    f64,
    bool,

    pub fn of(element: task_types.DType, layout: task_types.Layout) ?Plain {
        if (layout == .i4) return .i4;
        if (layout != .strided) return null;
        return switch (element) {
            .f32 => .f32,
            .f16 => .f16,
            .bf16 => .bf16,
            .i32 => .i32,
            .i8 => .i8,
            .u8 => .u8,
            .f64 => .f64,
            .bool => .bool,
            .u32, .i16 => null,
        };
    }

    /// What a view of such elements says.
    pub fn dtype(plain: Plain) task_types.DType {
        return switch (plain) {
            .f32 => .f32,
            .f16 => .f16,
            .bf16 => .bf16,
            .i32 => .i32,
            .i8, .i4 => .i8,
            .u8 => .u8,
            .f64 => .f64,
            .bool => .bool,
        };
    }

    pub fn isFloat(plain: Plain) bool {
        return switch (plain) {
            .f32, .f16, .bf16, .f64 => true,
            .i32, .i8, .u8, .i4, .bool => false,
        };
    }

    pub fn bits(plain: Plain) usize {
        return switch (plain) {
            .f64 => 64,
            .f32, .i32 => 32,
            .f16, .bf16 => 16,
            .i8, .u8, .bool => 8,
            .i4 => 4,
        };
    }

    /// Bytes of `count` elements.
    pub fn size(plain: Plain, count: usize) usize {
        return (count * plain.bits() + 7) / 8;
    }

    /// The smallest and the largest value of an integer.
    pub fn range(plain: Plain) [2]i32 {
        return switch (plain) {
            .i32 => .{ std.math.minInt(i32), std.math.maxInt(i32) },
            .i8 => .{ -128, 127 },
            .u8 => .{ 0, 255 },
            .i4 => .{ -8, 7 },
            .bool => .{ 0, 1 },
            .f32, .f16, .bf16, .f64 => unreachable,
        };
    }
};

/// Whether values can be converted so: a scale and a zero point stand between floats and integers
/// only, and the zero point is a value of the integer, of i32 only 0.
pub fn fits(from: Plain, to: Plain, scale: f32, zero_point: i32) bool {
    for ([_]Plain{ from, to }) |plain| if (plain == .f64 or plain == .bool) return false;
    if (!(scale > 0) or std.math.isInf(scale)) return false;
    if (from.isFloat() == to.isFloat()) return scale == 1 and zero_point == 0;
    const integer = if (from.isFloat()) to else from;
    if (integer == .i32) return zero_point == 0;
    const low, const high = integer.range();
    return zero_point >= low and zero_point <= high;
}

/// The lanes of a span: the bits of f32 or of i32. Behind the last element stand zeros, up to a
/// multiple of sixteen.
pub const Block = struct {
    words: [span_count_max]u32 align(64),

    pub inline fn get(block: *const Block, at: usize) U32 {
        return @as(*align(64) const U32, @ptrCast(@alignCast(&block.words[at]))).*;
    }

    pub inline fn put(block: *Block, at: usize, v: U32) void {
        @as(*align(64) U32, @ptrCast(@alignCast(&block.words[at]))).* = v;
    }
};

/// y = x for `count` elements, up to 1024; `x` and `y` of any alignment may be the same memory, but
/// not where one of them is f64.
pub fn span(from: Plain, to: Plain, x: [*]const u8, y: [*]u8, count: usize) void {
    var block: Block = undefined;
    if (from == .f64) narrow(to, x, count, &block) else load(from, x, count, &block);
    const floats = from.isFloat() and (from != .f64 or narrowsToFloat(to));
    if (to == .f64) return widen(floats, y, count, &block);
    if (to == .bool) {
        signify(floats, &block, count);
    } else if (floats and !to.isFloat()) {
        roundAll(&block, count);
    } else if (!floats and to.isFloat()) {
        floatAll(&block, count, to);
    }
    store(to, y, count, &block);
}

pub fn load(from: Plain, x: [*]const u8, count: usize, block: *Block) void {
    std.debug.assert(count <= span_count_max);
    switch (from) {
        .f64 => unreachable,
        inline else => |plain| {
            var at: usize = 0;
            while (at + width <= count) : (at += width) {
                block.put(at, loadLanes(plain, x + at * plain.bits() / 8));
            }
            if (at == count) return;
            var padded: [width * 4]u8 align(64) = @splat(0);
            const size = plain.size(count - at);
            @memcpy(padded[0..size], (x + at * plain.bits() / 8)[0..size]);
            // The nibble behind an odd count is no element, whatever it holds.
            if (plain == .i4 and count % 2 == 1) padded[size - 1] &= 0xf;
            block.put(at, loadLanes(plain, &padded));
        },
    }
}

pub fn store(to: Plain, y: [*]u8, count: usize, block: *const Block) void {
    std.debug.assert(count <= span_count_max);
    switch (to) {
        .f64 => unreachable,
        inline else => |plain| {
            var at: usize = 0;
            while (at + width <= count) : (at += width) {
                storeLanes(plain, y + at * plain.bits() / 8, block.get(at));
            }
            if (at == count) return;
            var padded: [width * 4]u8 align(64) = undefined;
            storeLanes(plain, &padded, block.get(at));
            const size = plain.size(count - at);
            if (plain == .i4 and count % 2 == 1) padded[size - 1] &= 0xf;
            @memcpy((y + at * plain.bits() / 8)[0..size], padded[0..size]);
        },
    }
}

/// f64 goes to integers at once, to all else by way of f32.
fn narrowsToFloat(to: Plain) bool {
    return to.isFloat() or to == .bool;
}

/// f64 to f32 lanes for a float or a bool, to i32 lanes for an integer.
fn narrow(to: Plain, x: [*]const u8, count: usize, block: *Block) void {
    var at: usize = 0;
    while (at < count) : (at += width) {
        var padded: [width]f64 = @splat(0);
        const left: usize = @min(width, count - at);
        @memcpy(std.mem.sliceAsBytes(padded[0..left]), (x + at * 8)[0 .. left * 8]);
        const v: F64 = padded;
        block.put(at, if (!narrowsToFloat(to))
            @bitCast(wideToInt(v))
        else if (to == .f32) @bitCast(@as(F32, @floatCast(v))) else @bitCast(wideToOdd(v)));
    }
}

/// Where f32 cannot hold a value its last bit is set on the side of 0, so that the next, coarser
/// rounding sees on which side of a half it was.
inline fn wideToOdd(v: F64) F32 {
    const nearest: F32 = @floatCast(v);
    const back: F64 = nearest;
    const bits: U32 = @bitCast(nearest);
    const none: U32 = @splat(0);
    const one: U32 = @splat(1);
    const inside = bits - @select(u32, @abs(back) > @abs(v), one, none);
    const inexact = (back < v) | (back > v);
    return @bitCast(@select(u32, inexact, inside | one, bits));
}

inline fn wideToInt(v: F64) I32 {
    const low: F64 = @splat(std.math.minInt(i32));
    const high: F64 = @splat(std.math.maxInt(i32));
    // 1.5 * 2^52: adding it leaves no room for a fraction.
    const whole: F64 = @splat(0x1.8p52);
    const above = @select(f64, v > low, v, low);
    const bounded = @select(f64, above < high, above, high);
    const rounded: I32 = @intFromFloat((bounded + whole) - whole);
    return @select(i32, v != v, @as(I32, @splat(0)), rounded);
}

fn widen(floats: bool, y: [*]u8, count: usize, block: *const Block) void {
    var at: usize = 0;
    while (at < count) : (at += width) {
        const v = block.get(at);
        const wide: F64 = if (floats)
            @as(F32, @bitCast(v))
        else
            @floatFromInt(@as(I32, @bitCast(v)));
        const elements: [width]f64 = wide;
        const left: usize = @min(width, count - at);
        @memcpy((y + at * 8)[0 .. left * 8], std.mem.sliceAsBytes(elements[0..left]));
    }
}

/// 1 for what is not 0; both zeros of a float are.
fn signify(floats: bool, block: *Block, count: usize) void {
    const mask: U32 = @splat(if (floats) 0x7fff_ffff else 0xffff_ffff);
    var at: usize = 0;
    while (at < count) : (at += width) {
        const some = (block.get(at) & mask) != @as(U32, @splat(0));
        block.put(at, @intFromBool(some));
    }
}

/// f32 lanes to i32.
fn roundAll(block: *Block, count: usize) void {
    var at: usize = 0;
    while (at < count) : (at += width) {
        block.put(at, @bitCast(roundToInt(@bitCast(block.get(at)))));
    }
}

/// i32 lanes to f32, such that storing them as `to` rounds the integer once.
fn floatAll(block: *Block, count: usize, to: Plain) void {
    var at: usize = 0;
    while (at < count) : (at += width) {
        const v: I32 = @bitCast(block.get(at));
        block.put(at, @bitCast(if (to == .bf16) floatToOdd(v) else floatOf(v)));
    }
}

pub inline fn floatOf(v: I32) F32 {
    return @floatFromInt(v);
}

/// Beyond 2^24 the bits that f32 has no room for are not rounded away but kept as one lowest bit,
/// so that a later rounding to the eight bits of bf16 sees on which side of a half they were.
inline fn floatToOdd(v: I32) F32 {
    const magnitude: U32 = @abs(v);
    const dropped = magnitude & @as(U32, @splat(0xff));
    const none: U32 = @splat(0);
    const odd: U32 = @select(u32, dropped != none, @as(U32, @splat(0x100)), none);
    const sticky = (magnitude - dropped) | odd;
    const exact = magnitude < @as(U32, @splat(1 << 24));
    const y: F32 = @floatFromInt(@select(u32, exact, magnitude, sticky));
    return @select(f32, v < @as(I32, @splat(0)), -y, y);
}

/// Round half to even into i32: bounds for what lies beyond, 0 for what is not a number.
pub inline fn roundToInt(v: F32) I32 {
    // From 2^23 on every f32 is whole; below, adding 2^23 leaves no room for a fraction.
    const whole = lanes.splat(0x1p23);
    const magnitude = @abs(v);
    const rounded = (magnitude + whole) - whole;
    const signed = @select(f32, v < lanes.zero, -rounded, rounded);
    const integral = @select(f32, magnitude < whole, signed, v);
    const largest = lanes.splat(0x1.fffffep30);
    const inside = lanes.min(lanes.max(integral, lanes.splat(-0x1p31)), largest);
    const value: I32 = @intFromFloat(inside);
    const above: I32 = @splat(std.math.maxInt(i32));
    const bounded = @select(i32, v >= lanes.splat(0x1p31), above, value);
    return @select(i32, v != v, @as(I32, @splat(0)), bounded);
}

inline fn loadLanes(comptime from: Plain, x: [*]const u8) U32 {
    return switch (from) {
        .f32, .i32 => vector(U32, x),
        .f16 => @bitCast(lanes.fromF16(vector(U16, x))),
        .bf16 => @bitCast(lanes.fromBf16(vector(U16, x))),
        .i8 => @bitCast(@as(I32, vector(@Vector(width, i8), x))),
        .u8, .bool => vector(@Vector(width, u8), x),
        .f64 => unreachable,
        .i4 => blk: {
            const bytes = vector(Nibbles, x);
            const low = bytes & @as(Nibbles, @splat(0xf));
            const high = bytes >> @splat(4);
            const codes: U32 = std.simd.interlace(.{ low, high });
            // Moves the sign of four bits up: 8..15 become -8..-1.
            const sign: U32 = @splat(8);
            break :blk (codes ^ sign) -% sign;
        },
    };
}

inline fn storeLanes(comptime to: Plain, y: [*]u8, v: U32) void {
    switch (to) {
        .f32, .i32 => put(U32, y, v),
        .f16 => put(U16, y, lanes.toF16(@bitCast(v))),
        .bf16 => put(U16, y, lanes.toBf16(@bitCast(v))),
        .f64 => unreachable,
        .i8, .u8, .bool => put(@Vector(width, u8), y, @truncate(clipped(to, v))),
        .i4 => {
            const codes: @Vector(width, u8) = @truncate(clipped(to, v));
            const parts = std.simd.deinterlace(2, codes);
            put(Nibbles, y, (parts[0] & @as(Nibbles, @splat(0xf))) | (parts[1] << @splat(4)));
        },
    }
}

inline fn clipped(comptime to: Plain, v: U32) U32 {
    const low, const high = comptime to.range();
    const value: I32 = @bitCast(v);
    const inside: I32 = @min(@max(value, @as(I32, @splat(low))), @as(I32, @splat(high)));
    return @bitCast(inside);
}

inline fn vector(comptime V: type, x: [*]const u8) V {
    return @as(*align(1) const V, @ptrCast(x)).*;
}

inline fn put(comptime V: type, y: [*]u8, v: V) void {
    @as(*align(1) V, @ptrCast(y)).* = v;
}

test "floats to integers: half to even, bounds, 0 for what is not a number" {
    const top = std.math.maxInt(i32);
    const bottom = std.math.minInt(i32);
    const inf = std.math.inf(f32);
    const pairs = [_]struct { f32, i32 }{
        .{ 0.5, 0 },                 .{ 1.5, 2 },              .{ 2.5, 2 },
        .{ -0.5, 0 },                .{ -1.5, -2 },            .{ -2.5, -2 },
        .{ 127.5, 128 },             .{ 128.5, 128 },          .{ 254.5, 254 },
        .{ 255.5, 256 },             .{ 1e10, top },           .{ -1e10, bottom },
        .{ 8388607.5, 8388608 },     .{ 4194304.5, 4194304 },  .{ 4194305.5, 4194306 },
        .{ 2147483520, 2147483520 }, .{ -0.49, 0 },            .{ 7.5, 8 },
        .{ -8.5, -8 },               .{ -9, -9 },              .{ -0.0, 0 },
        .{ inf, top },               .{ -inf, bottom },        .{ std.math.nan(f32), 0 },
        .{ 2147483648, top },        .{ -2147483648, bottom },
    };
    var x: [pairs.len]f32 = undefined;
    var whole: [pairs.len]i32 = undefined;
    for (pairs, &x) |pair, *value| value.* = pair[0];
    span(.f32, .i32, @ptrCast(&x), @ptrCast(&whole), x.len);
    for (pairs, whole) |pair, got| try std.testing.expectEqual(pair[1], got);
    var bytes: [x.len]u8 = undefined;
    span(.f32, .u8, @ptrCast(&x), &bytes, x.len);
    for (whole, bytes) |want, got| try std.testing.expectEqual(std.math.clamp(want, 0, 255), got);
    var signed: [x.len]i8 = undefined;
    span(.f32, .i8, @ptrCast(&x), @ptrCast(&signed), x.len);
    for (whole, signed) |want, got| {
        try std.testing.expectEqual(std.math.clamp(want, -128, 127), got);
    }
}

test "i4: low nibble first, both signs, an odd count, nothing behind it" {
    const x = [_]i32{ -8, 7, 0, -1, 100, -100, 3 };
    var y: [6]u8 = @splat(0x55);
    span(.i32, .i4, @ptrCast(&x), &y, x.len);
    try std.testing.expectEqual([_]u8{ 0x78, 0xf0, 0x87, 0x03, 0x55, 0x55 }, y);
    y[3] = 0xf3;
    var back: [x.len + 1]i32 = @splat(77);
    span(.i4, .i32, &y, @ptrCast(&back), x.len);
    try std.testing.expectEqual([_]i32{ -8, 7, 0, -1, 7, -8, 3, 77 }, back);
}

test "f64: narrowed by one rounding, bounds, zeros" {
    // Just above and below a half of bf16 and f16, where f32 would stand on it.
    const x = [_]f64{ 0x1.01p0 + 0x1p-40, 0x1.01p0 - 0x1p-40, 0x1.002p0 + 0x1p-40, 1e300, -1e-300 };
    var bf16: [x.len]u16 = undefined;
    span(.f64, .bf16, @ptrCast(&x), @ptrCast(&bf16), x.len);
    try std.testing.expectEqual([_]u16{ 0x3f81, 0x3f80, 0x3f80, 0x7f80, 0x8000 }, bf16);
    var f16_bits: [x.len]u16 = undefined;
    span(.f64, .f16, @ptrCast(&x), @ptrCast(&f16_bits), x.len);
    try std.testing.expectEqual([_]u16{ 0x3c04, 0x3c04, 0x3c01, 0x7c00, 0x8000 }, f16_bits);
    const nan = std.math.nan(f64);
    const y = [_]f64{ 2147483646.5, 2147483647.4, -2147483648.6, 0.5, nan, -0.0, 1e-320 };
    var whole: [y.len]i32 = undefined;
    span(.f64, .i32, @ptrCast(&y), @ptrCast(&whole), y.len);
    const top = std.math.maxInt(i32);
    const bottom = std.math.minInt(i32);
    try std.testing.expectEqual([_]i32{ top - 1, top, bottom, 0, 0, 0, 0 }, whole);
    var bools: [y.len]u8 = undefined;
    span(.f64, .bool, @ptrCast(&y), &bools, y.len);
    try std.testing.expectEqual([_]u8{ 1, 1, 1, 1, 1, 0, 1 }, bools);
    var back: [y.len]f64 = undefined;
    span(.i32, .f64, @ptrCast(&whole), @ptrCast(&back), y.len);
    for (whole, back) |want, got| try std.testing.expectEqual(@as(f64, @floatFromInt(want)), got);
}

test "i32 to bf16 rounds once, where two roundings would go the other way" {
    // 2^31 - 2^22 - 1 lies below a half of bf16; rounded to f32 first it would stand on it.
    for ([_]i32{ 0x7fbfffff, 0x7f800000, 0x01810001, 0x01810000, 0x01830000, -0x01810001 }) |v| {
        var y: u16 = undefined;
        span(.i32, .bf16, @ptrCast(&v), @ptrCast(&y), 1);
        const got: f32 = @bitCast(@as(u32, y) << 16);
        const exact: f64 = @floatFromInt(v);
        // Both neighbours are no nearer; at a tie the bits are even.
        for ([_]i32{ -1, 1 }) |step| {
            const bits: u32 = @intCast(@as(i32, y) + step);
            const other: f32 = @bitCast(bits << 16);
            const own = @abs(@as(f64, got) - exact);
            const its = @abs(@as(f64, other) - exact);
            try std.testing.expect(own < its or (own == its and y & 1 == 0));
        }
    }
}

test "every pair: spans of every length equal their elements one by one, in place where it fits" {
    var random = std.Random.DefaultPrng.init(4);
    for (std.enums.values(Plain)) |from| for (std.enums.values(Plain)) |to| {
        if (from == to or from == .f64 or to == .f64) continue;
        for ([_]usize{ 0, 1, 7, 15, 16, 17, 33, 1000, 1024 }) |count| {
            var x: [span_count_max * 4]u8 = undefined;
            random.random().bytes(&x);
            if (from == .bool) for (&x) |*byte| {
                byte.* &= 1;
            };
            var y: [span_count_max * 4]u8 = undefined;
            span(from, to, &x, &y, count);
            if (from != .i4 and to != .i4) for (0..count) |i| {
                var one: [4]u8 = undefined;
                span(from, to, x[from.size(i)..].ptr, &one, 1);
                const size = to.size(1);
                try std.testing.expectEqualSlices(u8, one[0..size], y[i * size ..][0..size]);
            };
            span(from, to, &x, &x, count);
            try std.testing.expectEqualSlices(u8, y[0..to.size(count)], x[0..to.size(count)]);
        }
    };
}
