//! y = a chain of operations on each element: what `add`, `exp`, `less`, `select`, `copy` and the
//! other elementwise ops do one after the other, in one pass over memory. Same bits as theirs: the
//! steps call the same code, a span of up to 1024 elements at a time, with what they leave to each
//! other in registers: spans of scratch memory that stay in the nearest cache.
//!
//! Up to 8 inputs and y have equal extents by any strides; dtypes are those of the steps
//! (program/chain_rules.zig). y may be the memory of an input: only the last step writes it.

const std = @import("std");
const copy = @import("copy.zig");
const elementwise = @import("elementwise.zig");
const select = @import("select.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");
const unary = @import("unary.zig");

const DType = task_types.DType;
const Task = task_types.Task;
const View = task_types.View;

pub const input_count_max = 8;
pub const register_count_max = 8;
pub const step_count_max = 15;

/// What a step does; the names are those of ops.
pub const ChainOp = enum(u32) {
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
    select,
    copy,

    pub fn operandCount(op: ChainOp) usize {
        if (op == .select) return 3;
        return if (@intFromEnum(op) <= @intFromEnum(ChainOp.less_equal)) 2 else 1;
    }

    pub fn compares(op: ChainOp) bool {
        return switch (op) {
            .equal, .not_equal, .less, .less_equal => true,
            else => false,
        };
    }
};

/// One step, in a word. Operands below 8 are inputs, from 8 on registers; `to` is the register of
/// the result, which of the last step goes to y.
pub const Step = packed struct(u32) {
    op: u8,
    a: u4,
    b: u4,
    c: u4,
    to: u4,
    /// A `DType`.
    dtype: u4,
    reserved: u4 = 0,

    pub fn operands(step: Step) [3]u4 {
        return .{ step.a, step.b, step.c };
    }
};

/// Where the parts of a step lie in its word.
pub const ChainShift = enum(u32) { a = 8, b = 12, c = 16, to = 20, dtype = 24 };

comptime {
    for (@typeInfo(ChainShift).@"enum".fields) |field| {
        std.debug.assert(@bitOffsetOf(Step, field.name) == field.value);
    }
}

/// Steps behind `count` of them are not looked at.
pub const Attrs = extern struct {
    count: u32,
    step_0: u32,
    step_1: u32,
    step_2: u32,
    step_3: u32,
    step_4: u32,
    step_5: u32,
    step_6: u32,
    step_7: u32,
    step_8: u32,
    step_9: u32,
    step_10: u32,
    step_11: u32,
    step_12: u32,
    step_13: u32,
    step_14: u32,
};

/// The bytes of a register: a span of the widest dtype.
const register_size = 1024 * 8;

/// A step whose code is found.
const Part = struct {
    /// Null for a copy.
    each: ?strided.Each,
    /// Places of operands and result.
    x: [3]u4,
    to: u4,
    from: DType,
    dtype: DType,
};

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.input_count) {
        inline 1...input_count_max => |count| walk(count, task),
        else => unreachable,
    }
}

fn walk(comptime input_count: usize, task: *const Task) void {
    var parts: [step_count_max]Part = undefined;
    const count = resolve(task, &parts);
    var views: [input_count + 1]*const View = undefined;
    for (&views, 0..) |*view, index| view.* = &task.views[index];
    const y = views[input_count];
    const spans = strided.Walk(input_count + 1).init(views);
    const share = task.share(spans.unitCount());

    // What a step may read: inputs, then registers.
    var places: [input_count_max + register_count_max][*]u8 = undefined;
    var strides: [places.len]i64 = @splat(1);
    for (places[input_count_max..], 0..) |*place, index| {
        place.* = task.scratch + index * register_size;
    }
    const output: strided.Output = .of(task, y);
    defer output.finish();
    for (share.start..share.end) |unit| {
        const span = spans.span(unit);
        for (views[0..input_count], 0..) |view, index| {
            places[index] = elementAt(view, span.offsets[index]);
            strides[index] = span.strides[index];
        }
        for (parts[0..count], 1..) |part, done| {
            const is_last = done == count;
            const to = if (is_last) elementAt(y, span.offsets[input_count]) else places[part.to];
            const piece: strided.Piece = .{
                .x = .{ places[part.x[0]], places[part.x[1]], places[part.x[2]] },
                .x_strides = .{ strides[part.x[0]], strides[part.x[1]], strides[part.x[2]] },
                .y = to,
                .y_stride = if (is_last) span.strides[input_count] else 1,
                .count = span.count,
            };
            const each = part.each orelse {
                copy.each(part.from, part.dtype, &piece);
                continue;
            };
            if (is_last and output.room != null and piece.y_stride == 1) {
                output.runPast(each, &piece);
            } else each(&piece);
        }
    }
}

/// Finds the steps' code; returns how many there are.
fn resolve(task: *const Task, parts: *[step_count_max]Part) usize {
    const count = task.attrs[0];
    var dtypes: [input_count_max + register_count_max]DType = undefined;
    for (0..task.input_count) |index| dtypes[index] = task.in(index).dtype;
    for (parts[0..count], task.attrs[1..][0..count]) |*part, word| {
        const step: Step = @bitCast(word);
        const op: ChainOp = @enumFromInt(step.op);
        const dtype: DType = @enumFromInt(step.dtype);
        const from = dtypes[step.a];
        part.* = .{
            .each = eachOf(op, if (op == .select) dtype else from),
            .x = step.operands(),
            .to = input_count_max + step.to,
            .from = from,
            .dtype = dtype,
        };
        dtypes[input_count_max + step.to] = dtype;
    }
    return count;
}

comptime {
    for (.{ elementwise.Operation, unary.Function }) |Family| {
        for (@typeInfo(Family).@"enum".fields) |field| {
            if (!@hasField(ChainOp, field.name)) @compileError("no chain takes " ++ field.name);
        }
    }
}

const op_count = @typeInfo(ChainOp).@"enum".fields.len;
const computed = [_]type{ f32, f64, i32 };

/// By operation and dtype of the operands; null where there is none.
const table: [op_count][computed.len]?strided.Each = blk: {
    var result: [op_count][computed.len]?strided.Each = @splat(@splat(null));
    for (std.enums.values(ChainOp), &result) |op, *row| for (computed, row) |T, *each| {
        if (@hasField(elementwise.Operation, @tagName(op))) {
            each.* = elementwise.each(T, @field(elementwise.Operation, @tagName(op)));
        } else if (@hasField(unary.Function, @tagName(op))) {
            if (T == i32 and op != .neg and op != .abs) continue;
            each.* = unary.each(T, @field(unary.Function, @tagName(op)));
        }
    };
    break :blk result;
};

fn eachOf(op: ChainOp, dtype: DType) ?strided.Each {
    if (op == .copy) return null;
    if (op == .select) return switch (dtype) {
        inline else => |one| select.each(strided.Word(one)),
    };
    return switch (dtype) {
        .f32 => table[@intFromEnum(op)][0],
        .f64 => table[@intFromEnum(op)][1],
        .i32 => table[@intFromEnum(op)][2],
        else => null,
    };
}

fn elementAt(view: *const View, offset: i64) [*]u8 {
    return switch (view.dtype) {
        inline else => |dtype| @ptrCast(
            strided.move(strided.Word(dtype), view.ptr(strided.Word(dtype)), offset),
        ),
    };
}

const testing = @import("testing.zig");

fn stepOf(op: ChainOp, operands: [3]u4, to: u4, dtype: DType) u32 {
    return @bitCast(Step{
        .op = @intCast(@intFromEnum(op)),
        .a = operands[0],
        .b = operands[1],
        .c = operands[2],
        .to = to,
        .dtype = @intCast(@intFromEnum(dtype)),
    });
}

fn attrsOf(steps: []const u32) [1 + step_count_max]u32 {
    var words: [1 + step_count_max]u32 = @splat(0);
    words[0] = @intCast(steps.len);
    @memcpy(words[1..][0..steps.len], steps);
    return words;
}

test "elementwise_chain: each step rounds by itself, over strides, however the work is split" {
    const dims = [_]u32{ 3, 1500 };
    var x: [3 * 1500]f32 = undefined;
    var row: [1500]f32 = undefined;
    var column: [3]f32 = undefined;
    var y: [3 * 1500]f32 = undefined;
    testing.fillNormal(f32, &x, 1, 1);
    testing.fillNormal(f32, &row, 2, 1);
    testing.fillNormal(f32, &column, 3, 1);
    const inputs = [_]View{
        testing.dense(f32, &x, &dims),
        testing.strided(f32, &row, &dims, &.{ 0, 1 }),
        testing.strided(f32, &column, &dims, &.{ 1, 0 }),
    };
    const attrs = attrsOf(&.{
        stepOf(.mul, .{ 0, 1, 0 }, 0, .f32),
        stepOf(.add, .{ 8, 2, 0 }, 0, .f32),
        stepOf(.neg, .{ 8, 0, 0 }, 0, .f32),
    });
    const out = testing.dense(f32, &y, &dims);
    try testing.runSplit(run, &inputs, &.{out}, attrs, &.{std.mem.sliceAsBytes(&y)});
    for (y, 0..) |got, i| {
        const product = x[i] * row[i % 1500];
        try std.testing.expectEqual(-(product + column[i / 1500]), got);
    }
}

test "elementwise_chain: compares, chooses and casts, into an input's own memory" {
    var x: [2000]f32 = undefined;
    testing.fillNormal(f32, &x, 4, 3);
    const before = x;
    var limit = [_]f32{0.5};
    const wide = testing.dense(f32, &x, &.{2000});
    const inputs = [_]View{ wide, testing.strided(f32, &limit, &.{2000}, &.{0}) };
    // Whether it is below the limit, as a number; itself where it is not.
    const attrs = attrsOf(&.{
        stepOf(.less, .{ 0, 1, 0 }, 0, .bool),
        stepOf(.copy, .{ 8, 0, 0 }, 1, .f64),
        stepOf(.copy, .{ 9, 0, 0 }, 2, .f32),
        stepOf(.select, .{ 8, 10, 0 }, 3, .f32),
    });
    _ = testing.run(run, &inputs, &.{wide}, attrs, .{ .worker_count = 3 });
    for (before, x) |was, got| {
        try std.testing.expectEqual(if (was < 0.5) @as(f32, 1) else was, got);
    }
}
