//! C[..., m, n] = sum over k of A[..., m, k] * B[..., k, n], in f32 or f64, any strides.
//!
//! Axes before the last two are the batch: A and B have the extents of C there, or 1, or miss
//! leading ones; what is 1 is read again. A and B are f32, f16 or bf16 (f64 for f64). Sums use
//! fused multiply-add where the level has it, so levels agree within k * eps * sum |a||b| only; for
//! one level the bits are the same for any number of workers (gemm.zig, gemv.zig).

const std = @import("std");
const gemm = @import("gemm.zig");
const gemv = @import("gemv.zig");
const lanes = @import("lanes.zig");
const matrices = @import("matrices.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;

pub fn run(task: *const Task) callconv(.c) void {
    const a = task.in(0).dtype;
    const b = task.in(1).dtype;
    if (task.out(0).dtype == .f64) return Product(f64, f64, f64).run(task);
    const storages = .{ .{ task_types.DType.f32, f32 }, .{ .f16, f16 }, .{ .bf16, lanes.Bf16 } };
    inline for (storages) |left| {
        inline for (storages) |right| {
            if (a == left[0] and b == right[0]) return Product(f32, left[1], right[1]).run(task);
        }
    }
    unreachable;
}

/// The part of C that is computed in one go, in every matrix of a range of the batch.
const Part = struct {
    batch_start: usize,
    batch_end: usize,
    row: usize,
    m: usize,
    column: usize,
    n: usize,
};

/// How a product is computed: decided by the whole of C, never by a worker's part of it.
const Way = enum { matrix, row, column };

fn wayOf(c: *const View, vector_fits: bool) Way {
    const last = c.rank - 1;
    if (!vector_fits) return .matrix;
    if (c.dims[last] == 1 and c.strides[last - 1] == 1) return .column;
    if (c.dims[last - 1] == 1 and c.strides[last] == 1) return .row;
    return .matrix;
}

fn Product(comptime T: type, comptime A: type, comptime B: type) type {
    return struct {
        const Gemm = gemm.Gemm(T);
        const Gemv = gemv.Gemv(T);

        fn run(task: *const Task) void {
            if (matrices.isEmpty(task)) return;
            const c = task.out(0);
            const part = partOf(task, c);
            const k = task.in(0).dims[task.in(0).rank - 1];
            const way = wayOf(c, k * @sizeOf(T) <= task.scratch_size);
            for (part.batch_start..part.batch_end) |index| {
                product(
                    matrices.matrixAt(A, task.in(0), c, index).from(part.row, 0),
                    matrices.matrixAt(B, task.in(1), c, index).from(0, part.column),
                    matrices.matrixAt(T, c, c, index).from(part.row, part.column),
                    .{ .m = part.m, .n = part.n, .k = k },
                    way,
                    task,
                );
            }
        }

        fn product(
            a: gemm.Matrix(A),
            b: gemm.Matrix(B),
            c: gemm.Matrix(T),
            shape: gemm.Shape,
            way: Way,
            task: *const Task,
        ) void {
            const scratch = matrices.scratchOf(task);
            if (shape.m == 0 or shape.n == 0) return;
            switch (way) {
                .column => return vector(B, A, b.transposed(), a, c, shape, scratch),
                .row => {
                    const turned: gemm.Shape = .{ .m = shape.n, .n = 1, .k = shape.k };
                    return vector(A, B, a, b.transposed(), c, turned, scratch);
                },
                .matrix => {},
            }
            Gemm.multiply(A, B, .{
                .shape = shape,
                .a = a,
                .b = b,
                .c = c,
                .scratch = scratch,
                .columns_max = task.block_sizes.dense_columns,
            });
        }

        /// y = matrix * x, where x is the one row of `row`.
        fn vector(
            comptime X: type,
            comptime M: type,
            row: gemm.Matrix(X),
            matrix: gemm.Matrix(M),
            y: gemm.Matrix(T),
            shape: gemm.Shape,
            scratch: []align(64) u8,
        ) void {
            const x: [*]T = @ptrCast(scratch.ptr);
            for (0..shape.k) |k| {
                const element = row.at(0, k)[0];
                x[k] = if (X == T) element else lanes.toF32(X, element);
            }
            Gemv.multiply(M, .{
                .m = shape.m,
                .k = shape.k,
                .a = matrix,
                .x = x,
                .y = y.data,
            });
        }

        /// Large matrices are cut into a grid of one cell a worker; many small ones are dealt out.
        fn partOf(task: *const Task, c: *const View) Part {
            const batch = matrices.batchOf(c);
            const m: usize = c.dims[c.rank - 2];
            const n: usize = c.dims[c.rank - 1];
            var part: Part = .{
                .batch_start = 0,
                .batch_end = batch,
                .row = 0,
                .m = m,
                .column = 0,
                .n = n,
            };
            const row_panels = std.math.divCeil(usize, m, Gemm.rows) catch unreachable;
            const column_panels = std.math.divCeil(usize, n, Gemm.columns) catch unreachable;
            const count = task.worker_count;
            if (batch >= 4 * count or row_panels * column_panels < 4 * count and batch > 1) {
                const own = task.share(batch);
                part.batch_start = own.start;
                part.batch_end = own.end;
                return part;
            }
            const down = rowsOfGrid(m, n, count);
            const across = count / down;
            const row = cut(row_panels, task.worker / across, down, Gemm.rows);
            const column = cut(column_panels, task.worker % across, across, Gemm.columns);
            part.row = @min(m, row.start);
            part.m = @min(m, row.end) - part.row;
            part.column = @min(n, column.start);
            part.n = @min(n, column.end) - part.column;
            return part;
        }
    };
}

/// How many cells lie below each other, of `count`: as square as they come, and rather more of them
/// than beside each other, for A is turned as it is packed, and B is not.
fn rowsOfGrid(m: usize, n: usize, count: usize) usize {
    var best: usize = 1;
    var least: usize = std.math.maxInt(usize);
    for (1..count + 1) |down| {
        if (count % down != 0) continue;
        const edges = m * (count / down) + n * down;
        if (edges <= least) {
            least = edges;
            best = down;
        }
    }
    return best;
}

fn cut(
    panels: usize,
    index: usize,
    count: usize,
    size: usize,
) struct { start: usize, end: usize } {
    return .{
        .start = panels * index / count * size,
        .end = panels * (index + 1) / count * size,
    };
}

const testing = @import("testing.zig");

fn expectProduct(comptime T: type, comptime S: type, shape: gemm.Shape, turned: bool) !void {
    const gpa = std.testing.allocator;
    const m: u32 = @intCast(shape.m);
    const n: u32 = @intCast(shape.n);
    const k: u32 = @intCast(shape.k);
    const a = try gpa.alloc(S, m * k);
    defer gpa.free(a);
    const b = try gpa.alloc(S, k * n);
    defer gpa.free(b);
    const c = try gpa.alloc(T, m * n);
    defer gpa.free(c);
    for (a, 0..) |*x, i| x.* = stored(S, i *% 7 % 23);
    for (b, 0..) |*x, i| x.* = stored(S, i *% 5 % 19);
    const inputs = if (turned) [_]View{
        testing.strided(S, a.ptr, &.{ m, k }, &.{ 1, m }),
        testing.strided(S, b.ptr, &.{ k, n }, &.{ 1, k }),
    } else [_]View{ testing.dense(S, a, &.{ m, k }), testing.dense(S, b, &.{ k, n }) };
    const outputs = [_]View{testing.dense(T, c, &.{ m, n })};
    try testing.runSplit(run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(c)});
    for (0..m) |i| {
        for (0..n) |j| {
            var want: f64 = 0;
            for (0..k) |at| {
                const x = a[if (turned) at * m + i else i * k + at];
                const y = b[if (turned) j * k + at else at * n + j];
                want += value(S, x) * value(S, y);
            }
            // Small integers: every sum is exact.
            try std.testing.expectEqual(want, @as(f64, c[i * n + j]));
        }
    }
}

fn stored(comptime S: type, whole: usize) S {
    const x: f32 = @as(f32, @floatFromInt(whole)) - 9;
    return if (S == f64) x else lanes.fromF32(S, x);
}

fn value(comptime S: type, x: S) f64 {
    return if (S == f64) x else lanes.toF32(S, x);
}

test "matmul: exact on whole numbers for sizes around tiles, slices and workers" {
    const sizes = [_]usize{ 1, 5, 12, 33, 65 };
    for (sizes) |m| {
        for (sizes) |n| {
            for ([_]usize{ 0, 1, 7, 33, 321 }) |k| {
                for ([_]bool{ false, true }) |turned| {
                    const shape: gemm.Shape = .{ .m = m, .n = n, .k = k };
                    try expectProduct(f32, f32, shape, turned);
                    if (k == 33) try expectProduct(f64, f64, shape, turned);
                    if (k == 7) try expectProduct(f32, f16, shape, turned);
                    if (k == 7) try expectProduct(f32, lanes.Bf16, shape, turned);
                }
            }
        }
    }
    try expectProduct(f32, f32, .{ .m = 200, .n = 1700, .k = 3 }, false);
}

test "matmul: rounded sums have the same bits for any number of workers" {
    var a: [67 * 400]f32 = undefined;
    var b: [400 * 70]f32 = undefined;
    var c: [67 * 70]f32 = undefined;
    testing.fillNormal(f32, &a, 1, 1);
    testing.fillNormal(f32, &b, 2, 1);
    for ([_][2]u32{ .{ 67, 70 }, .{ 1, 70 }, .{ 67, 1 }, .{ 13, 33 } }) |extent| {
        const m, const n = extent;
        const inputs = [_]View{
            testing.strided(f32, &a, &.{ m, 400 }, &.{ 400, 1 }),
            testing.strided(f32, &b, &.{ 400, n }, &.{ n, 1 }),
        };
        const outputs = [_]View{testing.strided(f32, &c, &.{ m, n }, &.{ n, 1 })};
        try testing.runSplit(run, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(&c)});
    }
}
