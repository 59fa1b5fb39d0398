//! y = a op b over any strides; a stride of 0 repeats an operand. Arithmetic: `add`, `sub`, `mul`,
//! `div`, `power`, `modulo`, `minimum`, `maximum`. Comparisons, to bool: `equal`, `not_equal`,
//! `less`, `less_equal`.
//!
//! a and b have equal extents and one dtype, f32, f64 or i32, which is y's for arithmetic. Integers
//! wrap; i32 division truncates toward zero and gives 0 where the divisor is 0, as does its
//! `modulo`. `modulo` has the divisor's sign; `minimum` and `maximum` pass on what is not a number.
//! y may be the memory of a or b where the dtypes are equal.

const std = @import("std");
const functions = @import("functions.zig");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub const Operation = enum {
    add,
    sub,
    mul,
    div,
    power,
    modulo,
    minimum,
    maximum,
    equal,
    not_equal,
    less,
    less_equal,

    fn compares(operation: Operation) bool {
        return @intFromEnum(operation) >= @intFromEnum(Operation.equal);
    }
};

/// The kernel of an operation, whose name is the op's.
pub fn kernel(comptime operation: Operation) task_types.Kernel {
    return struct {
        fn run(task: *const Task) callconv(.c) void {
            switch (task.in(0).dtype) {
                .f32 => walk(f32, operation, task),
                .f64 => walk(f64, operation, task),
                .i32 => walk(i32, operation, task),
                else => unreachable,
            }
        }
    }.run;
}

fn Result(comptime T: type, comptime operation: Operation) type {
    return if (operation.compares()) u8 else T;
}

fn walk(comptime T: type, comptime operation: Operation, task: *const Task) void {
    const Y = Result(T, operation);
    const views = [_]*const task_types.View{ task.in(0), task.in(1), task.out(0) };
    const spans = strided.Walk(3).init(views);
    const share = task.share(spans.unitCount());
    const output: strided.Output = .of(task, views[2]);
    defer output.finish();
    for (share.start..share.end) |unit| {
        const span = spans.span(unit);
        output.run(comptime each(T, operation), &.{
            .x = .{
                @ptrCast(span.pointer(T, views[0], 0)),
                @ptrCast(span.pointer(T, views[1], 1)),
                undefined,
            },
            .x_strides = .{ span.strides[0], span.strides[1], undefined },
            .y = @ptrCast(span.pointer(Y, views[2], 2)),
            .y_stride = span.strides[2],
            .count = span.count,
        });
    }
}

/// The operation on one span.
pub fn each(comptime T: type, comptime operation: Operation) strided.Each {
    return struct {
        const Y = Result(T, operation);
        const Lanes = strided.Lanes(T);
        const block_count = strided.block_count;

        fn run(piece: *const strided.Piece) void {
            const y = piece.out(Y);
            const a = piece.in(T, 0);
            const b = piece.in(T, 1);
            const strides = piece.x_strides;
            const adjoins = piece.y_stride == 1 and strided.repeatsOrAdjoins(strides[0]) and
                strided.repeatsOrAdjoins(strides[1]);
            var done: usize = 0;
            if (adjoins and piece.count >= lanes.width) {
                done = piece.count / lanes.width * lanes.width;
                var rooms: [2][lanes.width]T = undefined;
                const left: Lanes = .of(a, strides[0], &rooms[0]);
                vectors(left, .of(b, strides[1], &rooms[1]), y[0..done]);
            }
            while (done < piece.count) {
                const count = @min(block_count, piece.count - done);
                var left: [block_count]T = undefined;
                var right: [block_count]T = undefined;
                var result: [block_count]Y = undefined;
                const part: strided.Part = .{ .start = done, .count = count };
                strided.gather(T, a, strides[0], part, &left);
                strided.gather(T, b, strides[1], part, &right);
                const padded = std.mem.alignForward(usize, count, lanes.width);
                const from: Lanes = .of(&left, 1, undefined);
                vectors(from, .of(&right, 1, undefined), result[0..padded]);
                strided.scatter(Y, y, piece.y_stride, part, &result);
                done += count;
            }
        }

        /// Whole vectors. One copy of the operation serves all: it is most of the code.
        noinline fn vectors(a: Lanes, b: Lanes, y: []Y) void {
            var i: usize = 0;
            while (i < y.len) : (i += lanes.width) {
                const result: [lanes.width]Y = apply(T, operation, a.at(i), b.at(i));
                y[i..][0..lanes.width].* = result;
            }
        }
    }.run;
}

inline fn apply(
    comptime T: type,
    comptime operation: Operation,
    a: @Vector(lanes.width, T),
    b: @Vector(lanes.width, T),
) @Vector(lanes.width, Result(T, operation)) {
    switch (operation) {
        .add => return if (T == i32) a +% b else a + b,
        .sub => return if (T == i32) a -% b else a - b,
        .mul => return if (T == i32) a *% b else a * b,
        .div => return if (T == i32) divideIntegers(a, b) else a / b,
        .minimum => return orNan(T, a, b, @min(a, b)),
        .maximum => return orNan(T, a, b, @max(a, b)),
        .modulo => return lanewise(T, remainder(T), a, b),
        .power => {
            if (T == i32) return lanewise(T, powerOfInteger, a, b);
            return @floatCast(functions.power(@as(functions.F64, a), @as(functions.F64, b)));
        },
        .equal => return @intFromBool(a == b),
        .not_equal => return @intFromBool(a != b),
        .less => return @intFromBool(a < b),
        .less_equal => return @intFromBool(a <= b),
    }
}

inline fn orNan(
    comptime T: type,
    a: @Vector(lanes.width, T),
    b: @Vector(lanes.width, T),
    y: @Vector(lanes.width, T),
) @Vector(lanes.width, T) {
    if (T == i32) return y;
    return @select(T, a != a, a, @select(T, b != b, b, y));
}

inline fn lanewise(
    comptime T: type,
    comptime of: fn (T, T) T,
    a: @Vector(lanes.width, T),
    b: @Vector(lanes.width, T),
) @Vector(lanes.width, T) {
    var y: [lanes.width]T = undefined;
    const left: [lanes.width]T = a;
    const right: [lanes.width]T = b;
    for (&y, left, right) |*to, x, z| to.* = of(x, z);
    return y;
}

/// What is left of a after whole multiples of b, with b's sign.
fn remainder(comptime T: type) fn (T, T) T {
    return struct {
        fn of(a: T, b: T) T {
            if (T == i32 and (b == 0 or b == -1)) return 0;
            const rest = @rem(a, b);
            return if (rest != 0 and (rest < 0) != (b < 0)) rest + b else rest;
        }
    }.of;
}

/// By squaring, wrapping; 0 for a negative exponent unless the base is 1 or -1.
fn powerOfInteger(base: i32, exponent: i32) i32 {
    if (exponent < 0) return switch (base) {
        1 => 1,
        -1 => if (exponent & 1 == 0) 1 else -1,
        else => 0,
    };
    var result: i32 = 1;
    var square = base;
    var left = exponent;
    while (left > 0) : (left >>= 1) {
        if (left & 1 == 1) result *%= square;
        square *%= square;
    }
    return result;
}

/// The largest negative integer divided by -1 wraps to itself.
inline fn divideIntegers(a: lanes.I32, b: lanes.I32) lanes.I32 {
    const none: lanes.I32 = @splat(0);
    const negated = b == @as(lanes.I32, @splat(-1));
    const unsafe = @select(bool, negated, negated, b == none);
    const divisor = @select(i32, unsafe, @as(lanes.I32, @splat(1)), b);
    const quotient = @divTrunc(a, divisor);
    const wrapped = @select(i32, negated, none -% a, quotient);
    return @select(i32, b == none, none, wrapped);
}

const testing = @import("testing.zig");

test "elementwise: f32 with a repeated row and a repeated column, however the work is split" {
    var a: [3 * 1500]f32 = undefined;
    var row: [1500]f32 = undefined;
    var column: [3]f32 = undefined;
    var y: [3 * 1500]f32 = undefined;
    testing.fillNormal(f32, &a, 1, 1);
    testing.fillNormal(f32, &row, 2, 1);
    testing.fillNormal(f32, &column, 3, 1);
    const dims = [_]u32{ 3, 1500 };
    const whole = testing.dense(f32, &a, &dims);
    const out = testing.dense(f32, &y, &dims);
    const bytes = [_][]u8{std.mem.sliceAsBytes(&y)};
    const rows = testing.strided(f32, &row, &dims, &.{ 0, 1 });
    try testing.runSplit(kernel(.sub), &.{ whole, rows }, &.{out}, {}, &bytes);
    for (y, 0..) |got, i| try std.testing.expectEqual(a[i] - row[i % 1500], got);
    const columns = testing.strided(f32, &column, &dims, &.{ 1, 0 });
    try testing.runSplit(kernel(.div), &.{ columns, whole }, &.{out}, {}, &bytes);
    for (y, 0..) |got, i| try std.testing.expectEqual(column[i / 1500] / a[i], got);
    const turned = testing.strided(f32, &a, &.{ 1500, 3 }, &.{ 1, 1500 });
    const tall = testing.dense(f32, &y, &.{ 1500, 3 });
    try testing.runSplit(kernel(.mul), &.{ turned, turned }, &.{tall}, {}, &bytes);
    for (y, 0..) |got, i| {
        const x = a[i % 3 * 1500 + i / 3];
        try std.testing.expectEqual(x * x, got);
    }
}

test "elementwise: i32 wraps, division truncates and by zero gives 0" {
    const least = std.math.minInt(i32);
    var a = [_]i32{ 7, -7, least, least, 5, std.math.maxInt(i32) } ** 3;
    var b = [_]i32{ 2, 2, -1, 0, 0, 2 } ** 3;
    var y: [18]i32 = undefined;
    const inputs = [_]task_types.View{
        testing.dense(i32, &a, &.{18}),
        testing.dense(i32, &b, &.{18}),
    };
    const out = testing.dense(i32, &y, &.{18});
    _ = testing.run(kernel(.div), &inputs, &.{out}, {}, .{});
    const quotients = [_]i32{ 3, -3, least, 0, 0, std.math.maxInt(i32) / 2 } ** 3;
    try std.testing.expectEqual(quotients, y);
    _ = testing.run(kernel(.add), &inputs, &.{out}, {}, .{});
    const sums = [_]i32{ 9, -5, std.math.maxInt(i32), least, 5, least + 1 } ** 3;
    try std.testing.expectEqual(sums, y);
    _ = testing.run(kernel(.mul), &inputs, &.{out}, {}, .{});
    try std.testing.expectEqual([_]i32{ 14, -14, least, 0, 0, -2 } ** 3, y);
}

test "elementwise: an operand without elements is left alone" {
    var x: [1]f32 = .{3};
    const none = testing.dense(f32, x[0..0], &.{ 0, 4 });
    _ = testing.run(kernel(.add), &.{ none, none }, &.{none}, {}, .{});
    try std.testing.expectEqual(@as(f32, 3), x[0]);
}

fn expectEach(
    comptime T: type,
    comptime operation: Operation,
    pairs: []const [2]T,
    want: []const Result(T, operation),
) !void {
    for (pairs, want) |pair, expected| {
        const got = apply(T, operation, @splat(pair[0]), @splat(pair[1]))[9];
        if (expected != expected) {
            try std.testing.expect(got != got);
        } else try std.testing.expectEqual(expected, got);
    }
}

test "elementwise: modulo has the divisor's sign, extremes pass on what is not a number" {
    const nan = std.math.nan(f32);
    const floats = [_][2]f32{ .{ 7, 3 }, .{ -7, 3 }, .{ 7, -3 }, .{ 5.5, 2 }, .{ 1, nan } };
    try expectEach(f32, .modulo, &floats, &.{ 1, 2, -2, 1.5, nan });
    try expectEach(f32, .minimum, &floats, &.{ 3, -7, -3, 2, nan });
    try expectEach(f32, .maximum, &floats, &.{ 7, 3, 7, 5.5, nan });
    try expectEach(f32, .less, &floats, &.{ 0, 1, 0, 0, 0 });
    try expectEach(f32, .not_equal, &floats, &.{ 1, 1, 1, 1, 1 });
    const least = std.math.minInt(i32);
    const whole = [_][2]i32{ .{ 7, 3 }, .{ -7, 3 }, .{ 7, 0 }, .{ least, -1 }, .{ 3, 3 } };
    try expectEach(i32, .modulo, &whole, &.{ 1, 2, 0, 0, 0 });
    try expectEach(i32, .less_equal, &whole, &.{ 0, 1, 0, 1, 1 });
    const powers = [_][2]i32{ .{ 3, 4 }, .{ -2, 31 }, .{ 2, -1 }, .{ -1, -3 }, .{ 0, 0 } };
    try expectEach(i32, .power, &powers, &.{ 81, least, 0, -1, 1 });
}
