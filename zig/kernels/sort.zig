//! y[i] = the elements of row x[i] in rising or falling order, place[i, j] = where y[i, j] stood:
//! x (kept..., n) by any strides, f32, f64 or i32; y like x without gaps; place and spare i32 like
//! y. Equal elements keep their order; what is not a number comes last. Merges of runs of two,
//! four, ... in place and spare. Units of work: rows.

const std = @import("std");
const strided = @import("strided.zig");
const reduce = @import("reduce.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub const Attrs = extern struct { descending: u32 };

pub fn run(task: *const Task) callconv(.c) void {
    const descending = task.attr(Attrs).descending != 0;
    switch (task.out(0).dtype) {
        .f32 => walk(f32, descending, task),
        .f64 => walk(f64, descending, task),
        .i32 => walk(i32, descending, task),
        else => unreachable,
    }
}

fn walk(comptime T: type, descending: bool, task: *const Task) void {
    const x = task.in(0);
    const last = x.rank - 1;
    const count = x.dims[last];
    const heads = reduce.axesOf(x, 0, last);
    const share = task.share(heads.elementCount());
    for (share.start..share.end) |row| {
        const from = strided.move(T, x.ptr(T), offsetOf(&heads, row));
        const to = row * count;
        const sorting: Sorting(T) = .{
            .x = from,
            .stride = x.strides[last],
            .descending = descending,
        };
        sorting.run(
            task.out(1).ptr(i32)[to..][0..count],
            task.out(2).ptr(i32)[to..][0..count],
            task.out(0).ptr(T)[to..][0..count],
        );
    }
}

/// Where a row starts, in elements.
fn offsetOf(heads: *const task_types.View, row: usize) i64 {
    var rest = row;
    var offset: i64 = 0;
    var axis = heads.rank;
    while (axis > 0) {
        axis -= 1;
        offset += @as(i64, @intCast(rest % heads.dims[axis])) * heads.strides[axis];
        rest /= heads.dims[axis];
    }
    return offset;
}

fn Sorting(comptime T: type) type {
    return struct {
        x: [*]T,
        stride: i64,
        descending: bool,

        const Self = @This();

        fn value(sorting: *const Self, index: i32) T {
            return strided.move(T, sorting.x, index * sorting.stride)[0];
        }

        /// Whether b has to stand before a, which stood before it.
        fn overtakes(sorting: *const Self, a: T, b: T) bool {
            if (T != i32) {
                if (b != b) return false;
                if (a != a) return true;
            }
            return if (sorting.descending) b > a else b < a;
        }

        fn run(sorting: *const Self, place: []i32, spare: []i32, y: []T) void {
            for (place, 0..) |*index, i| index.* = @intCast(i);
            var from = place;
            var to = spare;
            var run_count: usize = 1;
            while (run_count < place.len) : (run_count *= 2) {
                var start: usize = 0;
                while (start < place.len) : (start += 2 * run_count) {
                    sorting.merge(from, to, start, run_count);
                }
                std.mem.swap([]i32, &from, &to);
            }
            if (from.ptr != place.ptr) @memcpy(place, from);
            for (place, y) |index, *element| element.* = sorting.value(index);
        }

        /// Two sorted runs of up to `run_count` from `start` on, as one.
        fn merge(
            sorting: *const Self,
            from: []const i32,
            to: []i32,
            start: usize,
            run_count: usize,
        ) void {
            const middle = @min(start + run_count, from.len);
            const end = @min(middle + run_count, from.len);
            var left = start;
            var right = middle;
            for (to[start..end]) |*index| {
                const second = right < end and (left == middle or
                    sorting.overtakes(sorting.value(from[left]), sorting.value(from[right])));
                if (second) {
                    index.* = from[right];
                    right += 1;
                } else {
                    index.* = from[left];
                    left += 1;
                }
            }
        }
    };
}

const testing = @import("testing.zig");

test "sort: stable both ways along rows and columns, what is not a number last" {
    const nan = std.math.nan(f32);
    var x = [_]f32{ 3, 1, nan, 1, 2, -1, 5, 5, 5, 0 };
    var y: [10]f32 = undefined;
    var place: [10]i32 = undefined;
    var spare: [10]i32 = undefined;
    const rows = testing.dense(f32, &x, &.{ 2, 5 });
    const outputs = [_]task_types.View{
        testing.dense(f32, &y, &.{ 2, 5 }),
        testing.dense(i32, &place, &.{ 2, 5 }),
        testing.dense(i32, &spare, &.{ 2, 5 }),
    };
    const bytes = [_][]u8{ std.mem.sliceAsBytes(&y), std.mem.sliceAsBytes(&place) };
    try testing.runSplit(run, &.{rows}, &outputs, Attrs{ .descending = 0 }, &bytes);
    try std.testing.expectEqual([10]i32{ 1, 3, 4, 0, 2, 0, 4, 1, 2, 3 }, place);
    try std.testing.expectEqual(@as(f32, 3), y[3]);
    try std.testing.expect(std.math.isNan(y[4]));
    try testing.runSplit(run, &.{rows}, &outputs, Attrs{ .descending = 1 }, &bytes);
    try std.testing.expectEqual([10]i32{ 0, 4, 1, 3, 2, 1, 2, 3, 4, 0 }, place);
}

test "sort: long rows against the standard library" {
    const count = 3001;
    var x: [count]f64 = undefined;
    for (&x, 0..) |*value, i| value.* = @floatFromInt((i * 7919) % 1000);
    var want = x;
    std.mem.sort(f64, &want, {}, std.sort.asc(f64));
    var y: [count]f64 = undefined;
    var place: [2][count]i32 = undefined;
    const outputs = [_]task_types.View{
        testing.dense(f64, &y, &.{count}),
        testing.dense(i32, &place[0], &.{count}),
        testing.dense(i32, &place[1], &.{count}),
    };
    const line = testing.dense(f64, &x, &.{count});
    _ = testing.run(run, &.{line}, &outputs, Attrs{ .descending = 0 }, .{});
    try std.testing.expectEqualSlices(f64, &want, &y);
}
