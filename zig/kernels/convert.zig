//! y = x among the plain dtypes, for whole arrays without gaps, with a scale between floats and
//! integers, and with a measure of what the conversion costs.
//!
//!     float to integer   y = clip(round_half_even(x / scale) + zero_point)    in f32
//!     integer to float   y = (x - zero_point) * scale                         in f32
//!
//! Scale 1 and zero point 0 leave the plain cast (cast.zig). Units of work: spans of 1024. The
//! optional second output has a row for each span: the sum and the largest of |value of y - value
//! of x| in f64, over elements that are finite on both sides; how many were clipped to a bound or
//! overflowed to an infinity; how many were not a number. The code of such a one stands for 0.

const std = @import("std");
const cast = @import("cast.zig");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;
const Plain = cast.Plain;
const Block = cast.Block;
const F32 = lanes.F32;
const I32 = lanes.I32;
const F64 = @Vector(lanes.width, f64);
const Mask = @Vector(lanes.width, bool);

pub const Attrs = extern struct { scale: f32, zero_point: i32, has_losses: u32 };

/// What one span, or several together, lost.
pub const Loss = extern struct {
    sum: f64 = 0,
    largest: f64 = 0,
    clipped: f64 = 0,
    nans: f64 = 0,

    pub fn add(loss: *Loss, other: Loss) void {
        loss.sum += other.sum;
        loss.largest = @max(loss.largest, other.largest);
        loss.clipped += other.clipped;
        loss.nans += other.nans;
    }
};

pub fn spanCount(count: usize) usize {
    return std.math.divCeil(usize, count, cast.span_count_max) catch unreachable;
}

pub fn run(task: *const Task) callconv(.c) void {
    const x = task.in(0);
    const y = task.out(0);
    const conversion: Conversion = .{
        .from = plainOf(x),
        .to = plainOf(y),
        .attrs = task.attr(Attrs),
    };
    const count = x.elementCount();
    const spans = spanCount(count);
    const share = task.share(spans);
    const losses: ?[*]Loss = if (conversion.attrs.has_losses == 1)
        @ptrCast(task.out(1).ptr(f64))
    else
        null;
    // In place a wider result would reach into sources that are not read yet, unless from the end.
    const backwards = x.data == y.data and conversion.to.bits() > conversion.from.bits();
    for (share.start..share.end) |step| {
        const unit = if (backwards) share.end - 1 - (step - share.start) else step;
        const start = unit * cast.span_count_max;
        conversion.span(.{
            .x = x.data + conversion.from.size(start),
            .y = y.data + conversion.to.size(start),
            .count = @min(cast.span_count_max, count - start),
            .loss = if (losses) |rows| &rows[unit] else null,
        });
    }
}

fn plainOf(view: *const View) Plain {
    return Plain.of(view.dtype, view.layout) orelse unreachable;
}

const Part = struct { x: [*]const u8, y: [*]u8, count: usize, loss: ?*Loss };

const Conversion = struct {
    from: Plain,
    to: Plain,
    attrs: Attrs,

    fn span(conversion: Conversion, part: Part) void {
        const from = conversion.from;
        const to = conversion.to;
        const plain = conversion.attrs.scale == 1 and conversion.attrs.zero_point == 0;
        if (plain and part.loss == null) return cast.span(from, to, part.x, part.y, part.count);
        var source: Block = undefined;
        cast.load(from, part.x, part.count, &source);
        if (plain) {
            cast.span(from, to, part.x, part.y, part.count);
        } else {
            var result: Block = undefined;
            conversion.rescale(&source, &result, part.count);
            cast.store(to, part.y, part.count, &result);
        }
        const loss = part.loss orelse return;
        var result: Block = undefined;
        cast.load(to, part.y, part.count, &result);
        loss.* = conversion.measure(&source, &result, part.count);
    }

    fn rescale(conversion: Conversion, source: *const Block, result: *Block, count: usize) void {
        var at: usize = 0;
        while (at < count) : (at += lanes.width) {
            const v = source.get(at);
            if (conversion.from.isFloat()) {
                result.put(at, @bitCast(conversion.code(@bitCast(v))));
            } else {
                result.put(at, @bitCast(conversion.value(@bitCast(v))));
            }
        }
    }

    /// The integer that stands for a float, not yet clipped.
    inline fn code(conversion: Conversion, v: F32) I32 {
        const rounded = cast.roundToInt(v / lanes.splat(conversion.attrs.scale));
        return rounded +| @as(I32, @splat(conversion.attrs.zero_point));
    }

    /// The float that an integer stands for.
    inline fn value(conversion: Conversion, v: I32) F32 {
        const from_zero = v -% @as(I32, @splat(conversion.attrs.zero_point));
        return cast.floatOf(from_zero) * lanes.splat(conversion.attrs.scale);
    }

    fn measure(conversion: Conversion, x: *const Block, y: *const Block, count: usize) Loss {
        return switch (conversion.from.isFloat()) {
            inline else => |from_float| switch (conversion.to.isFloat()) {
                inline else => |to_float| conversion.measureKinds(from_float, to_float, .{
                    .x = x,
                    .y = y,
                    .count = count,
                }),
            },
        };
    }

    const Pair = struct { x: *const Block, y: *const Block, count: usize };

    fn measureKinds(
        conversion: Conversion,
        comptime from_float: bool,
        comptime to_float: bool,
        pair: Pair,
    ) Loss {
        const scale: F64 = @splat(conversion.attrs.scale);
        const zero_point: F64 = @splat(@floatFromInt(conversion.attrs.zero_point));
        var sum: F64 = @splat(0);
        var largest: F64 = @splat(0);
        var loss: Loss = .{};
        var at: usize = 0;
        while (at < pair.count) : (at += lanes.width) {
            const x = wide(from_float, pair.x.get(at));
            const y = wide(to_float, pair.y.get(at));
            const want = if (to_float and !from_float) (x - zero_point) * scale else x;
            const got = if (from_float and !to_float) (y - zero_point) * scale else y;
            const both = isFinite(want) & isFinite(got);
            const left = @min(lanes.width, pair.count - at);
            const there = std.simd.iota(u32, lanes.width) < @as(lanes.U32, @splat(@intCast(left)));
            const lost = @select(f64, both & there, @abs(got - want), @as(F64, @splat(0)));
            sum += lost;
            largest = @select(f64, lost > largest, lost, largest);
            const clipped = if (to_float)
                isFinite(want) & ~isFinite(got)
            else
                conversion.beyond(from_float, pair.x.get(at));
            loss.clipped += countOf(clipped & there);
            loss.nans += countOf((x != x) & there);
        }
        loss.sum = @reduce(.Add, sum);
        loss.largest = @reduce(.Max, largest);
        return loss;
    }

    /// Whether the integer `to` cannot hold what an element came to.
    inline fn beyond(conversion: Conversion, comptime from_float: bool, v: lanes.U32) Mask {
        const low, const high = conversion.to.range();
        const result: I32 = if (from_float) conversion.code(@bitCast(v)) else @bitCast(v);
        const out = (result < @as(I32, @splat(low))) | (result > @as(I32, @splat(high)));
        if (!from_float) return out;
        const quotient = @as(F32, @bitCast(v)) / lanes.splat(conversion.attrs.scale);
        const whole = (quotient >= lanes.splat(0x1p31)) | (quotient < lanes.splat(-0x1p31));
        return out | whole;
    }
};

inline fn wide(comptime float: bool, v: lanes.U32) F64 {
    if (float) return @as(F32, @bitCast(v));
    return @floatFromInt(@as(I32, @bitCast(v)));
}

inline fn isFinite(v: F64) Mask {
    return @abs(v) < @as(F64, @splat(std.math.inf(f64)));
}

inline fn countOf(mask: Mask) f64 {
    return @floatFromInt(@popCount(@as(u16, @bitCast(mask))));
}

const testing = @import("testing.zig");

test "convert: a scale and a zero point, there and back, however the work is split" {
    var x: [3 * 1100]f32 = undefined;
    testing.fillNormal(f32, &x, 3, 2);
    var codes: [x.len]u8 = undefined;
    var attrs: Attrs = .{ .scale = 0.02, .zero_point = 128, .has_losses = 1 };
    const plain = testing.dense(f32, &x, &.{ 3, 1100 });
    const quantized = testing.dense(u8, &codes, &.{ 3, 1100 });
    var losses: [4 * 4]f64 = undefined;
    const rows = testing.dense(f64, &losses, &.{ 4, 4 });
    try testing.runSplit(run, &.{plain}, &.{ quantized, rows }, attrs, &.{
        &codes,
        std.mem.sliceAsBytes(&losses),
    });
    var back: [x.len]f32 = undefined;
    const out = testing.dense(f32, &back, &.{ 3, 1100 });
    attrs.has_losses = 0;
    try testing.runSplit(run, &.{quantized}, &.{out}, attrs, &.{std.mem.sliceAsBytes(&back)});
    var total: Loss = .{};
    for (@as(*const [4]Loss, @ptrCast(&losses))) |loss| total.add(loss);
    var error_sum: f64 = 0;
    var clipped: f64 = 0;
    for (x, codes, back) |value, code, float| {
        const wanted = @round(value / attrs.scale) + 128;
        if (wanted < 0 or wanted > 255) clipped += 1;
        const whole: f32 = @floatFromInt(code);
        try std.testing.expect(@abs(std.math.clamp(wanted, 0, 255) - whole) <= 1);
        try std.testing.expectEqual((whole - 128) * attrs.scale, float);
        error_sum += @abs(value - float);
    }
    try std.testing.expectEqual(clipped, total.clipped);
    try std.testing.expect(@abs(error_sum - total.sum) < 1e-4 * error_sum);
}

test "convert: in place, narrowing and widening, over several spans" {
    const count = 5000;
    var source: [count]f32 = undefined;
    testing.fillNormal(f32, &source, 9, 40);
    for (std.enums.values(Plain)) |narrow| {
        if (narrow == .f32 or narrow == .f64 or narrow == .bool) continue;
        var memory: [count]f32 align(64) = source;
        var apart: [count * 4]u8 = undefined;
        const x = testing.dense(f32, &memory, &.{ 1, count });
        var y = testing.strided(u8, @ptrCast(&memory), &.{ 1, count }, &.{ count, 1 });
        y.layout = if (narrow == .i4) .i4 else .strided;
        y.dtype = narrow.dtype();
        var elsewhere = y;
        elsewhere.data = &apart;
        const attrs: Attrs = .{ .scale = 1, .zero_point = 0, .has_losses = 0 };
        _ = testing.run(run, &.{x}, &.{elsewhere}, attrs, .{});
        _ = testing.run(run, &.{x}, &.{y}, attrs, .{});
        const bytes = std.mem.asBytes(&memory)[0..narrow.size(count)];
        try std.testing.expectEqualSlices(u8, apart[0..narrow.size(count)], bytes);
        var wide_apart: [count]f32 = undefined;
        const out = testing.dense(f32, &wide_apart, &.{ 1, count });
        _ = testing.run(run, &.{elsewhere}, &.{out}, attrs, .{});
        _ = testing.run(run, &.{y}, &.{x}, attrs, .{});
        try std.testing.expectEqualSlices(f32, &wide_apart, &memory);
    }
}

test "convert: what is clipped, infinite or not a number is counted, and no error of it" {
    const inf = std.math.inf(f32);
    const x = [_]f32{ 1.25, 300, -300, inf, -inf, std.math.nan(f32), 127.4, 127.5 };
    var y: [x.len]i8 = undefined;
    var loss: [4]f64 = undefined;
    const attrs: Attrs = .{ .scale = 1, .zero_point = 0, .has_losses = 1 };
    const in = testing.dense(f32, &x, &.{ 1, x.len });
    const rows = testing.dense(f64, &loss, &.{ 1, 4 });
    _ = testing.run(run, &.{in}, &.{ testing.dense(i8, &y, &.{ 1, x.len }), rows }, attrs, .{});
    try std.testing.expectEqual([_]i8{ 1, 127, -128, 127, -128, 0, 127, 127 }, y);
    const sum = 0.25 + 173 + 172 + (@as(f64, @as(f32, 127.4)) - 127) + 0.5;
    try std.testing.expectEqual([_]f64{ sum, 173, 5, 1 }, loss);
    var half: [x.len]f16 = undefined;
    const big = [_]f32{ 65504, 65520, -1e9, inf, 1, 2, 3, 4 };
    const wide_in = testing.dense(f32, &big, &.{ 1, big.len });
    const out = testing.dense(f16, &half, &.{ 1, big.len });
    _ = testing.run(run, &.{wide_in}, &.{ out, rows }, attrs, .{});
    try std.testing.expectEqual([_]f64{ 0, 0, 2, 0 }, loss);
}
