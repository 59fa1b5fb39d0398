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
    const output: strided.Output = .of(task, views[1]);
    defer output.finish();
    for (share.start..share.end) |unit| {
        const span = spans.span(unit);
        output.run(comptime each(T, function), &.{
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
        const block_count = strided.block_count;

        fn run(piece: *const strided.Piece) void {
            const x = piece.in(T, 0);
            const y = piece.out(T);
            var done: usize = 0;
            if (piece.x_strides[0] == 1 and piece.y_stride == 1) {
                done = piece.count / width * width;
                vectors(x, y[0..done]);
            }
            while (done < piece.count) {
                const count = @min(block_count, piece.count - done);
                var block: [block_count]T = undefined;
                const part: strided.Part = .{ .start = done, .count = count };
                strided.gather(T, x, piece.x_strides[0], part, &block);
                vectors(&block, block[0..std.mem.alignForward(usize, count, width)]);
                strided.scatter(T, y, piece.y_stride, part, &block);
                done += count;
            }
        }

        /// Whole vectors. One copy of the function serves all: it is most of the code.
        noinline fn vectors(x: [*]const T, y: []T) void {
            var i: usize = 0;
            while (i < y.len) : (i += width) {
                const result: [width]T = apply(T, function, x[i..][0..width].*);
                y[i..][0..width].* = result;
            }
        }
    }.run;
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
