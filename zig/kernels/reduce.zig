//! y[i] = sum, product, largest or smallest of x[i, j] over all j, where j runs over the last
//! `axes` axes of x: x (kept..., reduced...) by any strides, y (kept...) of the same dtype, f32,
//! f64 or i32. Nothing to reduce gives 0, 1, -inf or inf (for i32 the least and the largest).
//!
//! f32 is summed in f64, f64 with the rounding errors of all additions added at the end, integers
//! wrap. Four times sixteen lanes, twice where they are wider than the elements, take the elements
//! of a row in turn and are folded by halves; columns are summed row by row. What is not a number
//! wins every comparison. No sum is split among workers: units of work are spans of outputs, the
//! fewer the more each is made of.

const std = @import("std");
const builtin = @import("builtin");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;
const width = lanes.width;
/// Outputs of a unit at most: where each is a row, and where they are columns.
const rows_max = 1024;
const columns_max = 256;
/// Elements that a unit of rows should read, about.
const unit_elements = 16 << 10;
/// Terms that are walked at a time.
const span_max = 4096;

pub const Attrs = extern struct { axes: u32 };

pub const Operation = enum { reduce_sum, reduce_product, reduce_max, reduce_min };

/// The kernel of an operation, whose name is the op's.
pub fn kernel(comptime operation: Operation) task_types.Kernel {
    return struct {
        fn run(task: *const Task) callconv(.c) void {
            switch (task.in(0).dtype) {
                .f32 => Reduction(f32, operation).run(task),
                .f64 => Reduction(f64, operation).run(task),
                .i32 => Reduction(i32, operation).run(task),
                else => unreachable,
            }
        }
    }.run;
}

/// The first axes of a view, or the others.
pub fn axesOf(view: *const View, start: usize, end: usize) View {
    var part = view.*;
    part.rank = @intCast(end - start);
    part.dims = @splat(0);
    part.strides = @splat(0);
    for (start..end) |axis| {
        part.dims[axis - start] = view.dims[axis];
        part.strides[axis - start] = view.strides[axis];
    }
    return part;
}

/// Whether sums of f32 are made by fused multiply-adds, 256 bits at a time: x * 1 + sum is x + sum
/// to the bit, and conversions to f64 then do not wait for the units that additions take.
const adds_by_fma = builtin.cpu.arch == .x86_64 and
    std.Target.x86.featureSetHas(builtin.cpu.features, .fma);
const Quarter = @Vector(width / 4, f64);

/// sum + x.
inline fn addQuarter(sum: Quarter, x: [*]const f32, one: f64) Quarter {
    const terms: @Vector(width / 4, f32) = x[0 .. width / 4].*;
    return @mulAdd(Quarter, terms, @as(Quarter, @splat(one)), sum);
}

/// 1, of which the compiler does not know that nothing need be multiplied by it.
inline fn unknownOne() f64 {
    return asm (""
        : [out] "=x" (-> f64),
        : [in] "0" (@as(f64, 1)),
    );
}

fn Reduction(comptime T: type, comptime operation: Operation) type {
    const compares = operation == .reduce_max or operation == .reduce_min;
    // Sums of what rounds are kept wider than they are asked for.
    const Wide = if (T == f32 and !compares) f64 else T;
    const compensated = T == f64 and operation == .reduce_sum;
    // Wide ones fill twice the registers.
    const accumulators = if (T == f32 and !compares) 2 else 4;
    const in_quarters = adds_by_fma and T == f32 and operation == .reduce_sum;
    const identity: Wide = switch (operation) {
        .reduce_sum => 0,
        .reduce_product => 1,
        .reduce_max => if (T == i32) std.math.minInt(i32) else -std.math.inf(Wide),
        .reduce_min => if (T == i32) std.math.maxInt(i32) else std.math.inf(Wide),
    };
    return struct {
        const Lanes = @Vector(width, Wide);
        const Sum = struct {
            lanes: Lanes = @splat(identity),
            /// What the additions lost, or what was not a number, where that is kept.
            rest: Lanes = @splat(0),

            inline fn take(sum: *Sum, x: Lanes) void {
                const before = sum.lanes;
                sum.lanes = both(before, x);
                if (compensated) sum.rest += lossOf(before, x, sum.lanes);
                if (compares and T != i32) sum.rest = @select(Wide, x != x, x, sum.rest);
            }

            inline fn join(sum: *Sum, other: Sum) void {
                const before = sum.lanes;
                sum.lanes = both(before, other.lanes);
                if (compensated) {
                    sum.rest += other.rest + lossOf(before, other.lanes, sum.lanes);
                }
                if (compares and T != i32) {
                    sum.rest = @select(Wide, other.rest != other.rest, other.rest, sum.rest);
                }
            }

            fn fold(sum: Sum) Wide {
                return whole(halves(sum.lanes), addHalves(sum.rest));
            }
        };

        /// A result of its lanes and the rest.
        fn whole(total: Wide, rest: Wide) Wide {
            if (compares and T != i32) return if (rest != rest) rest else total;
            return if (compensated and std.math.isFinite(rest)) total + rest else total;
        }

        inline fn both(a: Lanes, b: Lanes) Lanes {
            return switch (operation) {
                .reduce_sum => if (T == i32) a +% b else a + b,
                .reduce_product => if (T == i32) a *% b else a * b,
                .reduce_max => @select(Wide, b > a, b, a),
                .reduce_min => @select(Wide, b < a, b, a),
            };
        }

        /// What a + b = y rounded away. Source: Knuth, TAOCP 2, 4.2.2, theorem B.
        inline fn lossOf(a: Lanes, b: Lanes, y: Lanes) Lanes {
            const from_b = y - a;
            return (a - (y - from_b)) + (b - from_b);
        }

        fn addHalves(rest: Lanes) Wide {
            if (T == i32) return 0;
            var v = rest;
            inline for (.{ 8, 4, 2, 1 }) |step| {
                var other: Lanes = @splat(0);
                inline for (0..step) |i| other[i] = v[i + step];
                v += other;
            }
            return v[0];
        }

        fn halves(sum: Lanes) Wide {
            var v = sum;
            inline for (.{ 8, 4, 2, 1 }) |step| {
                var other: Lanes = @splat(identity);
                inline for (0..step) |i| other[i] = v[i + step];
                v = both(v, other);
            }
            return v[0];
        }

        fn run(task: *const Task) void {
            const x = task.in(0);
            const y = task.out(0);
            const kept = axesOf(x, 0, y.rank);
            const reduced = axesOf(x, y.rank, x.rank);
            const terms = strided.Walk(1).initCut(.{&reduced}, span_max);
            const rows_adjoin = terms.strides[0][terms.rank - 1] == 1;
            const row_size = @max(1, reduced.elementCount());
            const unit_max = std.math.clamp(unit_elements / row_size, 1, rows_max);
            var outputs = strided.Walk(2).initCut(.{ &kept, y }, unit_max);
            const in_columns = !rows_adjoin and outputs.strides[0][outputs.rank - 1] == 1;
            if (in_columns) outputs = strided.Walk(2).initCut(.{ &kept, y }, columns_max);
            const share = task.share(outputs.unitCount());
            for (share.start..share.end) |unit| {
                const span = outputs.span(unit);
                const to = span.pointer(T, y, 1);
                if (in_columns) {
                    sumColumns(span.pointer(T, x, 0), to, &terms, span);
                    continue;
                }
                for (0..span.count) |i| {
                    const index: i64 = @intCast(i);
                    const from = strided.move(T, span.pointer(T, x, 0), index * span.strides[0]);
                    const total = sumRow(from, &terms);
                    strided.move(T, to, index * span.strides[1])[0] = narrow(total);
                }
            }
        }

        fn narrow(x: Wide) T {
            return if (T == f32) @floatCast(x) else x;
        }

        fn sumRow(x: [*]T, terms: *const strided.Walk(1)) Wide {
            var sums: [accumulators]Sum = @splat(.{});
            for (0..terms.unitCount()) |unit| {
                const span = terms.span(unit);
                const from = strided.move(T, x, span.offsets[0]);
                var done: usize = 0;
                if (span.strides[0] == 1 and in_quarters) {
                    done = span.count / (accumulators * width) * (accumulators * width);
                    addWhole(&sums, from[0..done]);
                } else if (span.strides[0] == 1) {
                    while (done + accumulators * width <= span.count) {
                        inline for (&sums) |*sum| {
                            sum.take(widen(from[done..][0..width].*));
                            done += width;
                        }
                    }
                }
                while (done < span.count) {
                    inline for (&sums) |*sum| {
                        if (done < span.count) sum.take(upTo(from, span, done));
                        done += width;
                    }
                }
            }
            sums[0].join(sums[1]);
            if (accumulators == 4) {
                sums[2].join(sums[3]);
                sums[0].join(sums[2]);
            }
            return sums[0].fold();
        }

        fn addWhole(sums: *[accumulators]Sum, x: []const f32) void {
            const one = unknownOne();
            const first: *[4]Quarter = @ptrCast(&sums[0].lanes);
            const second: *[4]Quarter = @ptrCast(&sums[1].lanes);
            var parts: [8]Quarter = first.* ++ second.*;
            var at: usize = 0;
            while (at < x.len) : (at += accumulators * width) {
                inline for (&parts, 0..) |*part, i| {
                    part.* = addQuarter(part.*, x[at + i * (width / 4) ..].ptr, one);
                }
            }
            first.* = parts[0..4].*;
            second.* = parts[4..8].*;
        }

        /// Sixteen terms, or as many as are left.
        inline fn upTo(x: [*]T, span: strided.Span(1), start: usize) Lanes {
            const count = @min(width, span.count - start);
            if (count == width and span.strides[0] == 1) return widen(x[start..][0..width].*);
            var lane: [width]Wide = @splat(identity);
            for (lane[0..count], start..) |*to, i| {
                to.* = strided.move(T, x, @as(i64, @intCast(i)) * span.strides[0])[0];
            }
            return lane;
        }

        inline fn widen(x: @Vector(width, T)) Lanes {
            return x;
        }

        /// Outputs that lie one beside the other: whole rows are added to a row of sums.
        fn sumColumns(
            x: [*]T,
            y: [*]T,
            terms: *const strided.Walk(1),
            outputs: strided.Span(2),
        ) void {
            var sums: [columns_max / width]Sum = @splat(.{});
            for (0..terms.unitCount()) |unit| {
                const span = terms.span(unit);
                const start = strided.move(T, x, span.offsets[0]);
                var j: usize = 0;
                while (j + rows_together <= span.count) : (j += rows_together) {
                    takeRows(rows_together, &sums, start, j, span.strides[0], outputs.count);
                }
                while (j < span.count) : (j += 1) {
                    takeRows(1, &sums, start, j, span.strides[0], outputs.count);
                }
            }
            for (0..outputs.count) |i| {
                const sum = &sums[i / width];
                const rest = @as([width]Wide, sum.rest)[i % width];
                const total = @as([width]Wide, sum.lanes)[i % width];
                const to = strided.move(T, y, @as(i64, @intCast(i)) * outputs.strides[1]);
                to[0] = narrow(whole(total, rest));
            }
        }

        /// Rows that are added while a sum is in registers.
        const rows_together = 8;

        inline fn takeRows(
            comptime rows: usize,
            sums: []Sum,
            start: [*]T,
            first: usize,
            stride: i64,
            count: usize,
        ) void {
            var row: [rows][*]T = undefined;
            inline for (&row, 0..) |*to, j| {
                to.* = strided.move(T, start, @as(i64, @intCast(first + j)) * stride);
            }
            // To the rows behind these, which lie too far away for the processor to guess them.
            const ahead = @as(i64, rows) * stride;
            var done: usize = 0;
            if (in_quarters) {
                const one = unknownOne();
                while (done + width <= count) : (done += width) {
                    const to: *[4]Quarter = @ptrCast(&sums[done / width].lanes);
                    var parts = to.*;
                    inline for (row) |from| {
                        @prefetch(strided.move(T, from, ahead) + done, .{});
                        inline for (&parts, 0..) |*part, i| {
                            part.* = addQuarter(part.*, from + done + i * (width / 4), one);
                        }
                    }
                    to.* = parts;
                }
            } else while (done + width <= count) : (done += width) {
                var sum = sums[done / width];
                inline for (row) |from| {
                    @prefetch(strided.move(T, from, ahead) + done, .{});
                    sum.take(widen(from[done..][0..width].*));
                }
                sums[done / width] = sum;
            }
            if (done == count) return;
            inline for (row) |from| {
                var lane: [width]Wide = @splat(identity);
                for (from[done..count], 0..) |value, i| lane[i] = value;
                sums[done / width].take(lane);
            }
        }
    };
}

const testing = @import("testing.zig");

test "reduce: rows, columns and both, as the plain loop has it, however the work is split" {
    const dims = [_]u32{ 5, 70, 33 };
    var x: [5 * 70 * 33]f32 = undefined;
    testing.fillNormal(f32, &x, 3, 1);
    const whole = testing.dense(f32, &x, &dims);
    var y: [5 * 70]f32 = undefined;
    const bytes = [_][]u8{std.mem.sliceAsBytes(&y)};
    const rows = testing.dense(f32, &y, &.{ 5, 70 });
    try testing.runSplit(kernel(.reduce_sum), &.{whole}, &.{rows}, Attrs{ .axes = 1 }, &bytes);
    for (y, 0..) |got, r| {
        var sum: f64 = 0;
        for (x[r * 33 ..][0..33]) |value| sum += value;
        try std.testing.expectApproxEqAbs(sum, got, 1e-6);
    }
    // (33, 70, 5) seen as (33, 5, 70): the last axis is reduced, outputs lie apart.
    const turned = testing.strided(f32, &x, &.{ 70, 33, 5 }, &.{ 33, 1, 70 * 33 });
    var z: [70 * 33]f32 = undefined;
    const columns = testing.dense(f32, &z, &.{ 70, 33 });
    const column_bytes = [_][]u8{std.mem.sliceAsBytes(&z)};
    const attrs: Attrs = .{ .axes = 1 };
    try testing.runSplit(kernel(.reduce_max), &.{turned}, &.{columns}, attrs, &column_bytes);
    for (z, 0..) |got, i| {
        var most: f32 = x[i];
        for (1..5) |k| most = @max(most, x[k * 70 * 33 + i]);
        try std.testing.expectEqual(most, got);
    }
}

test "reduce: sums of many equal numbers do not drift, in f32 as in f64" {
    var one: [1]f32 = .{0.1};
    var sum: [1]f32 = undefined;
    const many = testing.strided(f32, &one, &.{ 1, 4_000_000 }, &.{ 0, 0 });
    const out = testing.dense(f32, &sum, &.{1});
    _ = testing.run(kernel(.reduce_sum), &.{many}, &.{out}, Attrs{ .axes = 1 }, .{});
    const tenth: f64 = one[0];
    try std.testing.expectEqual(@as(f32, @floatCast(4_000_000 * tenth)), sum[0]);
    var wide: [1]f64 = .{0.1};
    var total: [1]f64 = undefined;
    const more = testing.strided(f64, &wide, &.{ 1, 1_000_000 }, &.{ 0, 0 });
    const to = testing.dense(f64, &total, &.{1});
    _ = testing.run(kernel(.reduce_sum), &.{more}, &.{to}, Attrs{ .axes = 1 }, .{});
    try std.testing.expectEqual(@as(f64, 100_000), total[0]);
}

test "reduce: nothing gives the neutral element, what is not a number wins, integers wrap" {
    var none: [1]f32 = .{3};
    var y: [2]f32 = undefined;
    const empty = testing.dense(f32, none[0..0], &.{ 2, 0 });
    const out = testing.dense(f32, &y, &.{2});
    const inf = std.math.inf(f32);
    inline for (.{ .reduce_sum, .reduce_product, .reduce_max, .reduce_min }, .{ 0, 1, -inf, inf }) |
        operation,
        want,
    | {
        _ = testing.run(kernel(operation), &.{empty}, &.{out}, Attrs{ .axes = 1 }, .{});
        try std.testing.expectEqual([2]f32{ want, want }, y);
    }
    var x = [_]f32{ 1, std.math.nan(f32), 3, 4, 5, 6 };
    const rows = testing.dense(f32, &x, &.{ 2, 3 });
    _ = testing.run(kernel(.reduce_min), &.{rows}, &.{out}, Attrs{ .axes = 1 }, .{});
    try std.testing.expect(std.math.isNan(y[0]) and y[1] == 4);
    var whole = [_]i32{ std.math.maxInt(i32), 1 };
    var sum: [1]i32 = undefined;
    const pair = testing.dense(i32, &whole, &.{ 1, 2 });
    const to = testing.dense(i32, &sum, &.{1});
    _ = testing.run(kernel(.reduce_sum), &.{pair}, &.{to}, Attrs{ .axes = 1 }, .{});
    try std.testing.expectEqual(@as(i32, std.math.minInt(i32)), sum[0]);
}
