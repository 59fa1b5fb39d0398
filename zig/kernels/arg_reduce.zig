//! y[i] = the first j at which x[i, j] is largest (`arg_max`) or smallest (`arg_min`): x (kept...,
//! n) by any strides, f32, f64 or i32; y (kept...) i32. What is not a number wins; of an empty row
//! the answer is 0.
//!
//! Rows are looked through by blocks for the largest element; only the block that has it is
//! searched for its place. Columns that lie side by side are followed together. Units of work:
//! spans of outputs, the fewer the longer the rows are.

const std = @import("std");
const lanes = @import("lanes.zig");
const reduce = @import("reduce.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub const Operation = enum { arg_max, arg_min };

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

/// Elements that a unit should read, about, and columns that are followed together.
const unit_elements = 16 << 10;
const columns_max = 256;
const block_count = 4096;
const width = lanes.width;

fn walk(comptime T: type, comptime operation: Operation, task: *const Task) void {
    const x = task.in(0);
    const y = task.out(0);
    const kept = reduce.axesOf(x, 0, y.rank);
    const row: Row = .{ .count = x.dims[y.rank], .stride = x.strides[y.rank] };
    const unit_max = std.math.clamp(unit_elements / @max(1, row.count), 1, columns_max);
    var outputs = strided.Walk(2).initCut(.{ &kept, y }, unit_max);
    const in_columns = row.stride != 1 and outputs.strides[0][outputs.rank - 1] == 1;
    if (in_columns) outputs = strided.Walk(2).initCut(.{ &kept, y }, columns_max);
    const share = task.share(outputs.unitCount());
    for (share.start..share.end) |unit| {
        const span = outputs.span(unit);
        const from = span.pointer(T, x, 0);
        const to = span.pointer(i32, y, 1);
        var found: [columns_max]i32 = undefined;
        if (in_columns) {
            Search(T, operation).columns(from, row, found[0..span.count]);
        } else for (found[0..span.count], 0..) |*place, i| {
            const start = strided.move(T, from, @as(i64, @intCast(i)) * span.strides[0]);
            place.* = Search(T, operation).place(start, row);
        }
        for (found[0..span.count], 0..) |place, i| {
            strided.move(i32, to, @as(i64, @intCast(i)) * span.strides[1])[0] = place;
        }
    }
}

const Row = struct { count: u32, stride: i64 };

fn Search(comptime T: type, comptime operation: Operation) type {
    return struct {
        const Vector = @Vector(width, T);

        inline fn isBetter(a: anytype, b: anytype) @TypeOf(a > b) {
            return if (operation == .arg_max) a > b else a < b;
        }

        fn place(x: [*]const T, row: Row) i32 {
            if (row.count == 0) return 0;
            if (row.stride != 1) return placeFrom(x, row, 0);
            var best = x[0];
            var best_block: u32 = 0;
            var at: u32 = 0;
            while (at + width <= row.count) {
                const count = @min(block_count, (row.count - at) / width * width);
                const extreme = extremeOf(x[at..][0..count]) orelse
                    return placeFrom(x, .{ .count = at + count, .stride = 1 }, at);
                if (isBetter(extreme, best)) {
                    best = extreme;
                    best_block = at;
                }
                at += count;
            }
            // What is left is looked through one by one: nothing before is better than `best`.
            var found: ?u32 = null;
            for (x[at..row.count], at..) |value, i| {
                if (T != i32 and value != value) return @intCast(i);
                if (!isBetter(value, best)) continue;
                best = value;
                found = @intCast(i);
            }
            if (found) |i| return @intCast(i);
            return @intCast(best_block + placeOf(best, x[best_block..row.count]));
        }

        /// Where the value, which is there, comes first.
        fn placeOf(wanted: T, x: []const T) usize {
            var at: usize = 0;
            while (at + width <= x.len) : (at += width) {
                const found = @as(Vector, x[at..][0..width].*) == @as(Vector, @splat(wanted));
                if (std.simd.firstTrue(found)) |lane| return at + lane;
            }
            while (x[at] != wanted) at += 1;
            return at;
        }

        /// The extreme of whole vectors; null when something in them is not a number.
        inline fn extremeOf(x: []const T) ?T {
            const first: Vector = x[0..width].*;
            var bests: [4]Vector = @splat(first);
            var odd: [4]Vector = @splat(@splat(0));
            var at: usize = 0;
            while (at + bests.len * width <= x.len) {
                inline for (&bests, &odd) |*best, *nan| {
                    look(x[at..][0..width].*, best, nan);
                    at += width;
                }
            }
            while (at < x.len) : (at += width) look(x[at..][0..width].*, &bests[0], &odd[0]);
            const result = halves(bestOf(bestOf(bests[0], bests[1]), bestOf(bests[2], bests[3])));
            if (T == i32) return result;
            const sum = (odd[0] + odd[1]) + (odd[2] + odd[3]);
            return if (@reduce(.Or, sum != sum)) null else result;
        }

        inline fn bestOf(a: Vector, b: Vector) Vector {
            return @select(T, isBetter(b, a), b, a);
        }

        inline fn halves(bests: Vector) T {
            var best = bests;
            inline for (.{ 8, 4, 2, 1 }) |step| {
                var other = best;
                inline for (0..step) |i| other[i] = best[i + step];
                best = bestOf(best, other);
            }
            return best[0];
        }

        inline fn look(value: Vector, best: *Vector, odd: *Vector) void {
            best.* = bestOf(best.*, value);
            if (T != i32) odd.* = @select(T, value != value, value, odd.*);
        }

        fn placeFrom(x: [*]const T, row: Row, start: u32) i32 {
            var best = strided.move(T, @constCast(x), start * row.stride)[0];
            var found: i32 = @intCast(start);
            for (start + 1..row.count) |j| {
                if (T != i32 and best != best) return found;
                const at = @as(i64, @intCast(j)) * row.stride;
                const value = strided.move(T, @constCast(x), at)[0];
                if (isBetter(value, best) or (T != i32 and value != value)) {
                    best = value;
                    found = @intCast(j);
                }
            }
            return found;
        }

        /// Of elements side by side, each the first of its column.
        fn columns(x: [*]const T, row: Row, found: []i32) void {
            @memset(found, 0);
            if (row.count == 0) return;
            var best: [columns_max]T = undefined;
            @memcpy(best[0..found.len], x[0..found.len]);
            for (1..row.count) |j| {
                const at = @as(i64, @intCast(j)) * row.stride;
                const line = strided.move(T, @constCast(x), at)[0..found.len];
                const place_of_line: i32 = @intCast(j);
                var done: usize = 0;
                while (done + width <= found.len) : (done += width) {
                    const value: Vector = line[done..][0..width].*;
                    const old: Vector = best[done..][0..width].*;
                    const takes = replaces(value, old);
                    const places: lanes.I32 = found[done..][0..width].*;
                    best[done..][0..width].* = @select(T, takes, value, old);
                    const here: lanes.I32 = @splat(place_of_line);
                    found[done..][0..width].* = @select(i32, takes, here, places);
                }
                for (line[done..], best[done..found.len], found[done..]) |value, *old, *to| {
                    const better = isBetter(value, old.*);
                    if (!better and (T == i32 or value == value or old.* != old.*)) continue;
                    old.* = value;
                    to.* = place_of_line;
                }
            }
        }

        inline fn replaces(value: Vector, old: Vector) @Vector(width, bool) {
            const better = isBetter(value, old);
            if (T == i32) return better;
            const is_first_odd = @select(bool, value != value, old == old, value != value);
            return @select(bool, better, better, is_first_odd);
        }
    };
}

const testing = @import("testing.zig");

test "arg_reduce: the first of equals, and what is not a number, along rows and columns" {
    const nan = std.math.nan(f32);
    var x = [_]f32{ 1, 3, 3, 2, -1, -1, 5, nan, nan };
    var y: [3]i32 = undefined;
    const out = testing.dense(i32, &y, &.{3});
    const rows = testing.dense(f32, &x, &.{ 3, 3 });
    try testing.runSplit(kernel(.arg_max), &.{rows}, &.{out}, {}, &.{std.mem.sliceAsBytes(&y)});
    try std.testing.expectEqual([3]i32{ 1, 0, 1 }, y);
    const columns = testing.strided(f32, &x, &.{ 3, 3 }, &.{ 1, 3 });
    _ = testing.run(kernel(.arg_min), &.{columns}, &.{out}, {}, .{});
    try std.testing.expectEqual([3]i32{ 0, 2, 2 }, y);
}

test "arg_reduce: as the plain loop has it, in long rows and columns with equals and odd numbers" {
    var x: [3 * 5000]f32 = undefined;
    var random = std.Random.DefaultPrng.init(5);
    for (0..40) |round| {
        for (&x) |*value| value.* = @floatFromInt(random.random().uintLessThan(u32, 90_000) / 3);
        if (round % 2 == 1) {
            for (0..3) |_| x[random.random().uintLessThan(usize, x.len)] = std.math.nan(f32);
        }
        var rows: [3]i32 = undefined;
        const whole = testing.dense(f32, &x, &.{ 3, 5000 });
        const bytes = [_][]u8{std.mem.sliceAsBytes(&rows)};
        const to = testing.dense(i32, &rows, &.{3});
        try testing.runSplit(kernel(.arg_max), &.{whole}, &.{to}, {}, &bytes);
        for (rows, 0..) |got, r| try expectPlace(&x, .{ r * 5000, 1, 5000 }, got);
        var columns: [375]i32 = undefined;
        const turned = testing.strided(f32, &x, &.{ 375, 40 }, &.{ 1, 375 });
        const column_bytes = [_][]u8{std.mem.sliceAsBytes(&columns)};
        const out = testing.dense(i32, &columns, &.{375});
        try testing.runSplit(kernel(.arg_max), &.{turned}, &.{out}, {}, &column_bytes);
        for (columns, 0..) |got, c| try expectPlace(&x, .{ c, 375, 40 }, got);
    }
}

/// Of elements at a start, by a stride, so many.
fn expectPlace(x: []const f32, where: [3]usize, got: i32) !void {
    const start, const stride, const count = where;
    var want: usize = 0;
    for (1..count) |j| {
        const best = x[start + want * stride];
        const value = x[start + j * stride];
        if (best == best and (value != value or value > best)) want = j;
    }
    try std.testing.expectEqual(@as(i32, @intCast(want)), got);
}
