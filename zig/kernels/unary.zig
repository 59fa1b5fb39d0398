//! y = f(x), element by element over any strides; a stride of 0 repeats an operand. x and y have
//! equal extents and one dtype: f32 or f64, for `neg` and `abs` also i32, which wraps.
//!
//! f32 goes through f64 lanes and is rounded once, but for what one f32 instruction does and for
//! `exp`, which is lanes.zig's. y may be the memory of x. Units of work: spans of 1024.

const std = @import("std");
const functions = @import("functions.zig");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const width = lanes.width;

pub const Function = enum {
    neg,
    abs,
    floor,
    ceil,
    round,
    sqrt,
    exp,
    log,
    sin,
    cos,
    tan,
    asin,
    acos,
    atan,
    tanh,
    erf,
    sigmoid,
};

/// The kernel of a function, whose name is the op's.
pub fn kernel(comptime function: Function) task_types.Kernel {
    return struct {
        fn run(task: *const Task) callconv(.c) void {
            switch (task.out(0).dtype) {
                .f32 => walk(f32, function, task),
                .f64 => walk(f64, function, task),
                .i32 => if (function == .neg or function == .abs) walk(i32, function, task),
                else => unreachable,
            }
        }
    }.run;
}

fn walk(comptime T: type, comptime function: Function, task: *const Task) void {
    const views = [_]*const task_types.View{ task.in(0), task.out(0) };
    const spans = strided.Walk(2).init(views);
    const share = task.share(spans.unitCount());
    for (share.start..share.end) |unit| {
        const span = spans.span(unit);
        each(T, function)(&.{
            .x = .{ @ptrCast(span.pointer(T, views[0], 0)), undefined, undefined },
            .x_strides = .{ span.strides[0], undefined, undefined },
            .y = @ptrCast(span.pointer(T, views[1], 1)),
            .y_stride = span.strides[1],
            .count = span.count,
        });
    }
}

/// The function on one span.
pub fn each(comptime T: type, comptime function: Function) strided.Each {
    return struct {
        fn run(piece: *const strided.Piece) void {
            const x = piece.in(T, 0);
            const y = piece.out(T);
            // One copy of the function serves vectors and what is gathered: it is most code.
            const adjoin = piece.x_strides[0] == 1 and piece.y_stride == 1;
            var done: usize = 0;
            while (done < piece.count) : (done += width) {
                const count = @min(width, piece.count - done);
                const whole = adjoin and count == width;
                const lane = if (whole) x[done..][0..width].* else gather(T, piece, done);
                const result: [width]T = apply(T, function, lane);
                if (whole) {
                    y[done..][0..width].* = result;
                    continue;
                }
                for (result[0..count], done..) |value, i| {
                    strided.move(T, y, @as(i64, @intCast(i)) * piece.y_stride)[0] = value;
                }
            }
        }
    }.run;
}

/// Up to sixteen elements from `start` on; the other lanes are 1, which every function takes.
noinline fn gather(comptime T: type, piece: *const strided.Piece, start: usize) [width]T {
    var lane: [width]T = @splat(1);
    for (0..@min(width, piece.count - start)) |i| {
        const offset = @as(i64, @intCast(start + i)) * piece.x_strides[0];
        lane[i] = strided.move(T, piece.in(T, 0), offset)[0];
    }
    return lane;
}

inline fn apply(
    comptime T: type,
    comptime function: Function,
    x: @Vector(width, T),
) @Vector(width, T) {
    if (T == i32) return switch (function) {
        .neg => @as(lanes.I32, @splat(0)) -% x,
        .abs => @bitCast(@abs(x)),
        else => unreachable,
    };
    switch (function) {
        .neg => return -x,
        .abs => return @abs(x),
        .floor => return @floor(x),
        .ceil => return @ceil(x),
        .round => return roundEven(T, x),
        .sqrt => return @sqrt(x),
        .exp => if (T == f32) return lanes.exp(x),
        else => {},
    }
    const wide: functions.F64 = x;
    return @floatCast(switch (function) {
        .exp => functions.exp(wide),
        .log => functions.log(wide),
        .sin => functions.sin(wide),
        .cos => functions.cos(wide),
        .tan => functions.tan(wide),
        .asin => functions.asin(wide),
        .acos => functions.acos(wide),
        .atan => functions.atan(wide),
        .tanh => functions.tanh(wide),
        .erf => functions.erf(wide),
        .sigmoid => functions.sigmoid(wide),
        else => unreachable,
    });
}

/// To the nearest whole number, halves to the even one.
inline fn roundEven(comptime T: type, x: @Vector(width, T)) @Vector(width, T) {
    const V = @Vector(width, T);
    // Adding 2^23 (2^52) leaves no bits for a fraction; above it there is none.
    const magic: V = @splat(if (T == f32) 0x1p23 else 0x1p52);
    const magnitude = @abs(x);
    const rounded = (magnitude + magic) - magic;
    const kept = @select(T, magnitude < magic, rounded, magnitude);
    const Bits = @Vector(width, if (T == f32) u32 else u64);
    const sign: Bits = @splat(1 << (@bitSizeOf(T) - 1));
    const signed: V = @bitCast(@as(Bits, @bitCast(kept)) | (@as(Bits, @bitCast(x)) & sign));
    return @select(T, x != x, x, signed);
}

const testing = @import("testing.zig");

test "unary: each function on rows, columns and repeated elements, however the work is split" {
    const dims = [_]u32{ 3, 1500 };
    var x: [3 * 1500]f32 = undefined;
    testing.fillNormal(f32, &x, 1, 0.4);
    for (&x) |*value| value.* = std.math.clamp(@abs(value.*) + 0.01, 0.01, 0.99);
    var y: [3 * 1500]f32 = undefined;
    const out = testing.dense(f32, &y, &dims);
    const bytes = [_][]u8{std.mem.sliceAsBytes(&y)};
    const turned = testing.strided(f32, &x, &dims, &.{ 1, 3 });
    inline for (comptime std.enums.values(Function)) |function| {
        const in = [_]task_types.View{turned};
        try testing.runSplit(kernel(function), &in, &.{out}, {}, &bytes);
        for (0..3) |r| for (0..1500) |c| {
            const value = x[r + c * 3];
            const want = apply(f32, function, @as(lanes.F32, @splat(value)))[0];
            try std.testing.expectEqual(want, y[r * 1500 + c]);
        };
    }
}

test "round: halves to even, signs, large and odd numbers" {
    const cases = [_][2]f32{
        .{ 0.5, 0 },  .{ 1.5, 2 },             .{ 2.5, 2 },     .{ -0.5, -0.0 }, .{ -1.5, -2 },
        .{ 2.49, 2 }, .{ 8388607.5, 8388608 }, .{ 1e30, 1e30 }, .{ -7, -7 },
    };
    for (cases) |case| {
        const got = apply(f32, .round, @as(lanes.F32, @splat(case[0])))[0];
        try std.testing.expectEqual(@as(u32, @bitCast(case[1])), @as(u32, @bitCast(got)));
    }
    try std.testing.expect(std.math.isNan(apply(f64, .round, @splat(std.math.nan(f64)))[0]));
}
