//! y = A x, y + A x or y - A x for f32 or f64, (m) from (m, k) and (k): the product that reads its
//! matrix once, so that it runs at the speed of memory.
//!
//! Where a row's elements are adjacent each row is a dot product in eight vectors, folded at the
//! end; where a column's are, each element of y is a lane that sums k in order. Either way it is
//! the same sum for a row alone as among others. A may be stored in f16 or bf16.

const std = @import("std");
const gemm = @import("gemm.zig");
const lanes_f32 = @import("lanes.zig");

const Matrix = gemm.Matrix;
const Update = gemm.Update;

/// Elements of a vector: sixteen, in as many registers as they take.
const width = lanes_f32.width;

pub fn Gemv(comptime T: type) type {
    return struct {
        const Vector = @Vector(width, T);
        const zero: Vector = @splat(0);

        pub fn multiply(
            comptime A: type,
            args: struct {
                m: usize,
                k: usize,
                a: Matrix(A),
                x: [*]const T,
                y: [*]T,
                update: Update = .store,
            },
        ) void {
            const a = args.a;
            if (a.row_stride == 1 and a.column_stride != 1) {
                const product: Columns(A) = .{ .k = args.k, .a = a, .x = args.x };
                columns(A, args.m, product, args.y, args.update);
                return;
            }
            var row: usize = 0;
            const group = 4;
            while (row + group <= args.m) : (row += group) {
                rows(A, group, a.from(row, 0), args.x[0..args.k], args.y + row, args.update);
            }
            while (row < args.m) : (row += 1) {
                rows(A, 1, a.from(row, 0), args.x[0..args.k], args.y + row, args.update);
            }
        }

        /// Dot products of `count` rows with x, which is loaded once for all.
        inline fn rows(
            comptime A: type,
            comptime count: usize,
            a: Matrix(A),
            x: []const T,
            y: [*]T,
            update: Update,
        ) void {
            var sums: [count][2]Vector = @splat(@splat(zero));
            var k: usize = 0;
            if (a.column_stride == 1) {
                while (k + 2 * width <= x.len) : (k += 2 * width) {
                    inline for (0..2) |half| {
                        const right = load(T, x.ptr + k + half * width);
                        inline for (&sums, 0..) |*sum, i| {
                            const left = load(A, a.at(i, k + half * width));
                            sum[half] = gemm.fma(Vector, left, right, sum[half]);
                        }
                    }
                }
            }
            inline for (&sums, 0..) |*sum, i| {
                var total = @reduce(.Add, fold(sum[0] + sum[1]));
                for (k..x.len) |at| total = gemm.fma(T, element(A, a.at(i, at)[0]), x[at], total);
                put(&y[i], total, update);
            }
        }

        /// Halves until one register is left: the order of the sum is the same on every level.
        inline fn fold(v: Vector) @Vector(2, T) {
            const a = @shuffle(T, v, undefined, @as(@Vector(8, i32), .{ 0, 1, 2, 3, 4, 5, 6, 7 })) +
                @shuffle(T, v, undefined, @as(@Vector(8, i32), .{ 8, 9, 10, 11, 12, 13, 14, 15 }));
            const b = @shuffle(T, a, undefined, @as(@Vector(4, i32), .{ 0, 1, 2, 3 })) +
                @shuffle(T, a, undefined, @as(@Vector(4, i32), .{ 4, 5, 6, 7 }));
            return @shuffle(T, b, undefined, @as(@Vector(2, i32), .{ 0, 1 })) +
                @shuffle(T, b, undefined, @as(@Vector(2, i32), .{ 2, 3 }));
        }

        fn Columns(comptime A: type) type {
            return struct { k: usize, a: Matrix(A), x: [*]const T };
        }

        /// y takes the multiples of eight columns of A at a time, then of one.
        fn columns(
            comptime A: type,
            m: usize,
            product: Columns(A),
            y: [*]T,
            update: Update,
        ) void {
            if (update == .store) @memset(y[0..m], 0);
            const sign: T = if (update == .subtract) -1 else 1;
            var k: usize = 0;
            inline for (.{ 8, 1 }) |count| {
                while (k + count <= product.k) : (k += count) {
                    addColumns(A, count, product.a.from(0, k), .{
                        .x = product.x[k..][0..count],
                        .sign = sign,
                        .y = y[0..m],
                    });
                }
            }
        }

        const Sum = struct { x: []const T, sign: T, y: []T };

        inline fn addColumns(comptime A: type, comptime count: usize, a: Matrix(A), to: Sum) void {
            var factors: [count]T = undefined;
            var pointers: [count][*]const A = undefined;
            inline for (&factors, &pointers, 0..) |*factor, *pointer, k| {
                factor.* = to.sign * to.x[k];
                pointer.* = a.at(0, k);
            }
            var row: usize = 0;
            while (row + width <= to.y.len) : (row += width) {
                const place: *align(@alignOf(T)) Vector = @ptrCast(to.y.ptr + row);
                var sum = place.*;
                inline for (factors, pointers) |factor, pointer| {
                    sum = gemm.fma(Vector, load(A, pointer + row), @splat(factor), sum);
                }
                place.* = sum;
            }
            while (row < to.y.len) : (row += 1) {
                var sum = to.y[row];
                inline for (factors, pointers) |factor, pointer| {
                    sum = gemm.fma(T, element(A, pointer[row]), factor, sum);
                }
                to.y[row] = sum;
            }
        }

        inline fn put(place: *T, sum: T, update: Update) void {
            place.* = switch (update) {
                .store => sum,
                .add => place.* + sum,
                .subtract => place.* - sum,
            };
        }

        inline fn load(comptime S: type, from: [*]const S) Vector {
            if (S == T) return @as(*align(@alignOf(T)) const Vector, @ptrCast(from)).*;
            return lanes_f32.load(S, from);
        }

        inline fn element(comptime S: type, value: S) T {
            if (S == T) return value;
            return lanes_f32.toF32(S, value);
        }
    };
}
