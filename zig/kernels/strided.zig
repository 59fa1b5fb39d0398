//! How kernels walk operands that lie in memory by strides: adjacent axes that all operands can
//! join are joined, then the innermost axis is cut into spans, the units of work.

const std = @import("std");
const stream = @import("stream.zig");
const width = @import("lanes.zig").width;
const task_types = @import("task.zig");

const View = task_types.View;
const rank_max = task_types.rank_max;

/// Elements of a span: enough to hide its bookkeeping, few enough to share among workers.
const span_count_max = 1024;

/// Element `index` of a rank-1 operand.
pub inline fn item(comptime T: type, view: *const View, index: usize) T {
    std.debug.assert(view.rank == 1);
    return at(T, view, index, 0)[0];
}

/// The element at `first`, `second` of the two outermost axes and 0 of the others.
pub inline fn at(comptime T: type, view: *const View, first: usize, second: usize) [*]T {
    var offset = @as(i64, @intCast(first)) * view.strides[0];
    if (view.rank > 1) offset += @as(i64, @intCast(second)) * view.strides[1];
    return move(T, view.ptr(T), offset);
}

/// The pointer `offset` elements on; `offset` may be negative.
pub inline fn move(comptime T: type, pointer: [*]T, offset: i64) [*]T {
    const bytes = @as(usize, @bitCast(offset)) *% @sizeOf(T);
    return @ptrFromInt(@intFromPtr(pointer) +% bytes);
}

/// What holds the bits of an element, for kernels that only move it.
pub fn Word(comptime dtype: task_types.DType) type {
    return switch (dtype) {
        .f64 => u64,
        .f32, .i32, .u32 => u32,
        .f16, .bf16, .i16 => u16,
        .i8, .u8, .bool => u8,
    };
}

/// y = x over one span, from where its first elements lie; they may be the same memory.
pub fn copySpan(comptime T: type, x: [*]T, y: [*]T, span: Span(2)) void {
    if (span.adjacent()) return @memmove(y[0..span.count], x[0..span.count]);
    for (0..span.count) |i| {
        const index: i64 = @intCast(i);
        const value = move(T, x, index * span.strides[0])[0];
        move(T, y, index * span.strides[1])[0] = value;
    }
}

/// Up to 1024 steps along one axis, for each of the operands.
pub fn Span(comptime operand_count: usize) type {
    return struct {
        /// Where the first element of each operand lies, in elements from its `data`.
        offsets: [operand_count]i64,
        strides: [operand_count]i64,
        count: usize,

        const Self = @This();

        pub fn pointer(span: *const Self, comptime T: type, view: *const View, which: usize) [*]T {
            return move(T, view.ptr(T), span.offsets[which]);
        }

        pub fn adjacent(span: *const Self) bool {
            return std.mem.allEqual(i64, &span.strides, 1);
        }
    };
}

/// Elements of one span as an operation takes them: up to three operands and a result, whose dtypes
/// it knows. Walks and chains of operations call the same code with it.
pub const Piece = struct {
    x: [3][*]u8,
    /// In elements.
    x_strides: [3]i64,
    y: [*]u8,
    y_stride: i64,
    count: usize,

    pub inline fn in(piece: *const Piece, comptime T: type, which: usize) [*]T {
        return @ptrCast(@alignCast(piece.x[which]));
    }

    pub inline fn out(piece: *const Piece, comptime T: type) [*]T {
        return @ptrCast(@alignCast(piece.y));
    }
};

/// An operation on a span.
pub const Each = *const fn (piece: *const Piece) void;

/// How spans of a result reach its memory: a large one goes past the caches, by way of scratch.
pub const Output = struct {
    element_size: usize,
    /// Room for a span; null for plain stores.
    room: ?[*]u8,

    const room_size = 1024 * 8;

    /// The last bytes of the scratch are the room: what runs must not use them.
    pub fn of(task: *const task_types.Task, y: *const View) Output {
        const element_size: usize = switch (y.dtype) {
            inline else => |dtype| @sizeOf(Word(dtype)),
        };
        const is_large = stream.fits(y.elementCount() * element_size);
        return .{
            .element_size = element_size,
            .room = if (is_large) task.scratch + task.scratch_size - room_size else null,
        };
    }

    pub inline fn run(output: Output, comptime each: Each, piece: *const Piece) void {
        if (output.room == null or piece.y_stride != 1) return each(piece);
        output.runPast(each, piece);
    }

    pub noinline fn runPast(output: Output, each: Each, piece: *const Piece) void {
        const room = output.room.?;
        var inner = piece.*;
        inner.y = room;
        each(&inner);
        stream.copy(piece.y, room[0 .. piece.count * output.element_size]);
    }

    /// Before anyone else reads the result.
    pub fn finish(output: Output) void {
        if (output.room != null) stream.fence();
    }
};

/// Vectors of an operand whose elements adjoin (stride 1) or are one element again (stride 0),
/// without a branch between the two.
pub fn Lanes(comptime T: type) type {
    return struct {
        from: [*]const T,
        /// 0 for an element that is read again.
        mask: usize,

        const Self = @This();

        /// `room` holds the repeated element.
        pub inline fn of(x: [*]const T, stride: i64, room: *[width]T) Self {
            if (stride == 1) return .{ .from = x, .mask = std.math.maxInt(usize) };
            room.* = @splat(x[0]);
            return .{ .from = room, .mask = 0 };
        }

        pub inline fn at(self: Self, index: usize) @Vector(width, T) {
            return self.from[index & self.mask ..][0..width].*;
        }
    };
}

pub fn repeatsOrAdjoins(stride: i64) bool {
    return stride == 0 or stride == 1;
}

/// Elements that are gathered at a time, where they do not adjoin.
pub const block_count = 256;

/// Some elements of a span.
pub const Part = struct { start: usize, count: usize };

/// A part to adjacent memory; what is behind it, up to a multiple of sixteen, is 1, which every
/// operation takes.
pub noinline fn gather(
    comptime T: type,
    x: [*]const T,
    stride: i64,
    part: Part,
    to: *[block_count]T,
) void {
    for (to[0..part.count], part.start..) |*one, i| {
        one.* = move(T, @constCast(x), @as(i64, @intCast(i)) * stride)[0];
    }
    @memset(to[part.count..std.mem.alignForward(usize, part.count, width)], 1);
}

/// A part from adjacent memory to where it belongs.
pub noinline fn scatter(
    comptime T: type,
    y: [*]T,
    stride: i64,
    part: Part,
    from: *const [block_count]T,
) void {
    for (from[0..part.count], part.start..) |one, i| {
        move(T, y, @as(i64, @intCast(i)) * stride)[0] = one;
    }
}

/// The walk over operands of equal extents.
pub fn Walk(comptime operand_count: usize) type {
    return struct {
        rank: usize,
        dims: [rank_max]usize,
        strides: [operand_count][rank_max]i64,
        spans_per_row: usize,
        span_max: usize,

        const Self = @This();

        pub fn init(views: [operand_count]*const View) Self {
            return initCut(views, span_count_max);
        }

        /// With spans of at most so many elements.
        pub fn initCut(views: [operand_count]*const View, span_max: usize) Self {
            var walk: Self = .{
                .rank = 0,
                .dims = @splat(1),
                .strides = @splat(@splat(0)),
                .spans_per_row = 0,
                .span_max = span_max,
            };
            for (0..views[0].rank) |axis| walk.append(views, axis);
            if (walk.rank == 0) walk.rank = 1;
            const inner = walk.dims[walk.rank - 1];
            walk.spans_per_row = std.math.divCeil(usize, inner, span_max) catch unreachable;
            return walk;
        }

        fn append(walk: *Self, views: [operand_count]*const View, axis: usize) void {
            const extent = views[0].dims[axis];
            if (extent == 1) return;
            if (walk.rank > 0 and walk.joins(views, axis)) {
                walk.dims[walk.rank - 1] *= extent;
            } else {
                walk.dims[walk.rank] = extent;
                walk.rank += 1;
            }
            for (views, 0..) |view, which| {
                walk.strides[which][walk.rank - 1] = view.strides[axis];
            }
        }

        fn joins(walk: *const Self, views: [operand_count]*const View, axis: usize) bool {
            for (views, 0..) |view, which| {
                const outer = walk.strides[which][walk.rank - 1];
                if (outer != view.strides[axis] * view.dims[axis]) return false;
            }
            return true;
        }

        pub fn unitCount(walk: *const Self) usize {
            var count = walk.spans_per_row;
            for (walk.dims[0 .. walk.rank - 1]) |extent| count *= extent;
            return count;
        }

        pub fn span(walk: *const Self, unit: usize) Span(operand_count) {
            const inner = walk.rank - 1;
            const start = unit % walk.spans_per_row * walk.span_max;
            var result: Span(operand_count) = .{
                .offsets = undefined,
                .strides = undefined,
                .count = @min(walk.span_max, walk.dims[inner] - start),
            };
            for (0..operand_count) |which| {
                result.strides[which] = walk.strides[which][inner];
                result.offsets[which] = @as(i64, @intCast(start)) * result.strides[which];
            }
            var rest = unit / walk.spans_per_row;
            var axis = inner;
            while (axis > 0) {
                axis -= 1;
                const index: i64 = @intCast(rest % walk.dims[axis]);
                rest /= walk.dims[axis];
                for (0..operand_count) |which| {
                    result.offsets[which] += index * walk.strides[which][axis];
                }
            }
            return result;
        }
    };
}

test "Walk: joins axes, keeps transposed ones apart and visits every element once" {
    const testing = @import("testing.zig");
    var x: [2 * 3 * 2000]f32 = undefined;
    const dims = [_]u32{ 2, 3, 2000 };
    const plain = testing.dense(f32, &x, &dims);
    const joined = Walk(1).init(.{&plain});
    try std.testing.expectEqual(@as(usize, 1), joined.rank);
    try std.testing.expectEqual(@as(usize, 12), joined.unitCount());
    const turned = testing.strided(f32, &x, &dims, &.{ 1, 2, 6 });
    const walk = Walk(2).init(.{ &plain, &turned });
    try std.testing.expectEqual(@as(usize, 3), walk.rank);
    @memset(&x, 0);
    for (0..walk.unitCount()) |unit| {
        const span = walk.span(unit);
        const pointer = span.pointer(f32, &turned, 1);
        for (0..span.count) |i| move(f32, pointer, @as(i64, @intCast(i)) * span.strides[1])[0] += 1;
    }
    for (x) |visits| try std.testing.expectEqual(@as(f32, 1), visits);
}

test "Walk: an axis without elements has no units, a scalar has one" {
    const testing = @import("testing.zig");
    var x: [1]f32 = undefined;
    const none = testing.strided(f32, &x, &.{ 4, 0 }, &.{ 0, 1 });
    try std.testing.expectEqual(@as(usize, 0), Walk(1).init(.{&none}).unitCount());
    const scalar = testing.strided(f32, &x, &.{}, &.{});
    try std.testing.expectEqual(@as(usize, 1), Walk(1).init(.{&scalar}).unitCount());
}
