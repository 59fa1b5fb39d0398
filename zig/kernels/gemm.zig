//! C = A * B, C + A * B or C - A * B for f32 or f64, (m, n) from (m, k) and (k, n), any strides.
//!
//! Slices of k and blocks of n are packed into panels in the caller's scratch, then a tile of C at
//! a time lives in registers: `rows` times `columns` sums, and a broadcast of A for each row. Every
//! element sums k in order, slice by slice, whatever the tile: results do not depend on how the
//! matrix is cut among workers. Fused multiply-add where the level has it; the error is at most
//! k * eps * sum |a||b|. Elements of A and B may be stored in f16 or bf16.

const std = @import("std");
const builtin = @import("builtin");
const lanes_f32 = @import("lanes.zig");
const strided = @import("strided.zig");

/// What happens to the matrix that is written.
pub const Update = enum { store, add, subtract };

pub const Shape = struct { m: usize, n: usize, k: usize };

/// A matrix with elements of type `S`; strides in elements.
pub fn Matrix(comptime S: type) type {
    return struct {
        data: [*]S,
        row_stride: i64,
        column_stride: i64,

        const Self = @This();

        pub fn rowMajor(data: [*]S, row_stride: usize) Self {
            return .{ .data = data, .row_stride = @intCast(row_stride), .column_stride = 1 };
        }

        pub inline fn at(matrix: Self, row: usize, column: usize) [*]S {
            const offset = @as(i64, @intCast(row)) * matrix.row_stride +
                @as(i64, @intCast(column)) * matrix.column_stride;
            return strided.move(S, matrix.data, offset);
        }

        pub fn from(matrix: Self, row: usize, column: usize) Self {
            var part = matrix;
            part.data = matrix.at(row, column);
            return part;
        }

        pub fn transposed(matrix: Self) Self {
            return .{
                .data = matrix.data,
                .row_stride = matrix.column_stride,
                .column_stride = matrix.row_stride,
            };
        }
    };
}

const x86 = std.Target.x86;
const is_x86 = builtin.cpu.arch == .x86_64;

fn has(comptime feature: x86.Feature) bool {
    return is_x86 and x86.featureSetHas(builtin.cpu.features, feature);
}

/// Bytes of a vector register, and how many registers there are.
pub const vector_size = if (has(.avx512f)) 64 else if (has(.avx)) 32 else 16;
const register_count = if (has(.avx512f) or !is_x86) 32 else 16;
const has_fma = if (is_x86) has(.fma) else builtin.cpu.arch == .aarch64;

/// a * b + c, rounded once where the level fuses.
pub inline fn fma(comptime V: type, a: V, b: V, c: V) V {
    return if (has_fma) @mulAdd(V, a, b, c) else a * b + c;
}

/// k in one pass over packed panels: a row panel of A stays in the first-level cache, and C is
/// read again rarely.
const depth = 384;

pub fn Gemm(comptime T: type) type {
    return struct {
        pub const lanes = vector_size / @sizeOf(T);
        pub const Vector = @Vector(lanes, T);
        /// Vectors across a tile; its sums, these and one broadcast fill the registers.
        const across = 2;
        pub const columns = across * lanes;
        pub const rows = switch (register_count) {
            32 => 12,
            else => if (has_fma) 6 else 4,
        };
        /// Shorter tiles for what is left of m, so that little is computed for nothing.
        const heights: []const usize = switch (rows) {
            12 => &.{ 1, 2, 4, 8, 12 },
            6 => &.{ 1, 2, 4, 6 },
            else => &.{ 1, 2, 4 },
        };

        const row_block = 12 * rows;
        const a_size = row_block * depth * @sizeOf(T);

        /// The least scratch that `multiply` takes; more makes larger blocks.
        pub const scratch_min = a_size + depth * columns * @sizeOf(T) + 2 * 64;

        pub fn multiply(
            comptime A: type,
            comptime B: type,
            args: struct {
                shape: Shape,
                a: Matrix(A),
                b: Matrix(B),
                c: Matrix(T),
                update: Update = .store,
                scratch: []align(64) u8,
                /// Columns of B that are packed at a time, as scratch allows.
                columns_max: usize = std.math.maxInt(usize),
            },
        ) void {
            const c = args.c;
            // Tiles are stored along rows: where C lies along columns, C' = B' A' is computed.
            if (c.column_stride != 1 and c.row_stride == 1) {
                return blocks(B, A, .{
                    .shape = .{ .m = args.shape.n, .n = args.shape.m, .k = args.shape.k },
                    .a = args.b.transposed(),
                    .b = args.a.transposed(),
                    .c = c.transposed(),
                    .update = args.update,
                    .scratch = args.scratch,
                    .columns_max = args.columns_max,
                });
            }
            blocks(A, B, .{
                .shape = args.shape,
                .a = args.a,
                .b = args.b,
                .c = c,
                .update = args.update,
                .scratch = args.scratch,
                .columns_max = args.columns_max,
            });
        }

        fn Args(comptime A: type, comptime B: type) type {
            return struct {
                shape: Shape,
                a: Matrix(A),
                b: Matrix(B),
                c: Matrix(T),
                update: Update,
                scratch: []align(64) u8,
                columns_max: usize,
            };
        }

        fn blocks(comptime A: type, comptime B: type, args: Args(A, B)) void {
            const shape = args.shape;
            std.debug.assert(args.scratch.len >= scratch_min);
            if (shape.m == 0 or shape.n == 0) return;
            if (shape.k == 0) {
                if (args.update == .store) clear(shape, args.c);
                return;
            }
            const a_panels: [*]align(64) T = @ptrCast(args.scratch.ptr);
            const b_panels: [*]align(64) T = @ptrCast(@alignCast(args.scratch.ptr + a_size));
            const fitting = (args.scratch.len - a_size) / (depth * @sizeOf(T));
            const column_block = @max(columns, @min(fitting, args.columns_max) / columns * columns);
            // As equal as can be: a short slice costs as many passes over C as a long one.
            const slice_count = (shape.k + depth - 1) / depth;
            const slice = (shape.k + slice_count - 1) / slice_count;
            var column: usize = 0;
            while (column < shape.n) : (column += column_block) {
                const n = @min(column_block, shape.n - column);
                var start: usize = 0;
                while (start < shape.k) : (start += slice) {
                    const k = @min(slice, shape.k - start);
                    const b = args.b.from(start, column).transposed();
                    pack(B, columns, b, .{ .width = n, .k = k }, b_panels);
                    const later: Update = if (args.update == .subtract) .subtract else .add;
                    const update = if (start == 0) args.update else later;
                    var row: usize = 0;
                    while (row < shape.m) : (row += row_block) {
                        const m = @min(row_block, shape.m - row);
                        const a = args.a.from(row, start);
                        pack(A, rows, a, .{ .width = m, .k = k }, a_panels);
                        const part: Shape = .{ .m = m, .n = n, .k = k };
                        tiles(part, a_panels, b_panels, args.c.from(row, column), update);
                    }
                }
            }
        }

        fn clear(shape: Shape, c: Matrix(T)) void {
            for (0..shape.m) |i| {
                for (0..shape.n) |j| c.at(i, j)[0] = 0;
            }
        }

        /// Panels of `width_max` rows of `x`, each (k, width_max): what a step of k reads is
        /// adjacent. The last panel is padded with zeros.
        fn pack(
            comptime S: type,
            comptime width_max: usize,
            x: Matrix(S),
            extent: struct { width: usize, k: usize },
            panels: [*]T,
        ) void {
            var start: usize = 0;
            while (start < extent.width) : (start += width_max) {
                const width = @min(width_max, extent.width - start);
                const source = x.from(start, 0);
                const panel = panels + start * extent.k;
                if (width < width_max) @memset(panel[0 .. width_max * extent.k], 0);
                if (x.row_stride == 1) {
                    for (0..extent.k) |k| {
                        const to = panel + k * width_max;
                        copyRow(S, width_max, source.at(0, k), to, width);
                    }
                } else {
                    turn(S, width_max, source, .{ .width = width, .k = extent.k }, panel);
                }
            }
        }

        inline fn copyRow(
            comptime S: type,
            comptime width_max: usize,
            from: [*]const S,
            to: [*]T,
            width: usize,
        ) void {
            if (width == width_max) {
                if (S != T and width_max % lanes_f32.width == 0) {
                    inline for (0..width_max / lanes_f32.width) |part| {
                        const at = part * lanes_f32.width;
                        lanes_f32.store(T, to + at, lanes_f32.load(S, from + at));
                    }
                } else {
                    for (0..width_max) |i| to[i] = element(S, from[i]);
                }
            } else {
                for (0..width) |i| to[i] = element(S, from[i]);
            }
        }

        /// Sixteen steps of k of one row at a time, so that a line of memory is read once.
        fn turn(
            comptime S: type,
            comptime width_max: usize,
            x: Matrix(S),
            extent: struct { width: usize, k: usize },
            panel: [*]T,
        ) void {
            const chunk = 16;
            var start: usize = 0;
            while (start < extent.k) : (start += chunk) {
                const count = @min(chunk, extent.k - start);
                const to = panel + start * width_max;
                for (0..extent.width) |i| {
                    const from = x.at(i, start);
                    if (count == chunk and x.column_stride == 1) {
                        inline for (0..chunk) |k| {
                            to[k * width_max + i] = element(S, from[k]);
                        }
                    } else {
                        for (0..count) |k| {
                            to[k * width_max + i] = element(S, x.at(i, start + k)[0]);
                        }
                    }
                }
            }
        }

        inline fn element(comptime S: type, value: S) T {
            if (S == T) return value;
            return lanes_f32.toF32(S, value);
        }

        fn tiles(
            shape: Shape,
            a_panels: [*]const T,
            b_panels: [*]const T,
            c: Matrix(T),
            update: Update,
        ) void {
            var row: usize = 0;
            while (row < shape.m) : (row += rows) {
                const height = @min(rows, shape.m - row);
                const a = a_panels + row * shape.k;
                var column: usize = 0;
                while (column < shape.n) : (column += columns) {
                    const tile: Tile = .{
                        .k = shape.k,
                        .a = a,
                        .b = b_panels + column * shape.k,
                        .c = c.from(row, column),
                        .height = height,
                        .width = @min(columns, shape.n - column),
                        .update = update,
                    };
                    inline for (heights, 0..) |fitting, index| {
                        const low = if (index == 0) 0 else heights[index - 1];
                        if (height > low and height <= fitting) tile.run(fitting);
                    }
                }
            }
        }

        const Tile = struct {
            k: usize,
            a: [*]const T,
            b: [*]const T,
            c: Matrix(T),
            height: usize,
            width: usize,
            update: Update,

            fn run(tile: Tile, comptime height: usize) void {
                const whole = tile.width == columns and tile.height == height and
                    tile.c.column_stride == 1;
                if (whole) inline for (0..height) |i| prefetchRow(tile.c.at(i, 0));
                var sums: Sums(height) = @splat(@splat(@splat(0)));
                var a = tile.a;
                var b = tile.b;
                for (0..tile.k) |_| {
                    var right: [across]Vector = undefined;
                    inline for (&right, 0..) |*v, j| v.* = load(b + j * lanes);
                    inline for (&sums, 0..) |*sum, i| {
                        const left = held(@splat(a[i]));
                        inline for (sum, &right) |*s, v| s.* = fma(Vector, left, v, s.*);
                    }
                    a += rows;
                    b += columns;
                }
                switch (tile.update) {
                    inline else => |update| {
                        if (whole) {
                            inline for (&sums, 0..) |*sum, i| {
                                const place = tile.c.at(i, 0);
                                inline for (sum, 0..) |s, j| put(place + j * lanes, s, update);
                            }
                        } else tile.putEdge(height, sums, update);
                    },
                }
            }

            fn Sums(comptime height: usize) type {
                return [height][across]Vector;
            }

            fn putEdge(
                tile: Tile,
                comptime height: usize,
                sums: Sums(height),
                comptime update: Update,
            ) void {
                const flat: *const [height * columns]T = @ptrCast(&sums);
                for (0..tile.height) |i| {
                    for (0..tile.width) |j| {
                        const sum = flat[i * columns + j];
                        const place = tile.c.at(i, j);
                        place[0] = switch (update) {
                            .store => sum,
                            .add => place[0] + sum,
                            .subtract => place[0] - sum,
                        };
                    }
                }
            }
        };

        inline fn put(place: [*]T, sum: Vector, comptime update: Update) void {
            const target: *align(@alignOf(T)) Vector = @ptrCast(place);
            target.* = switch (update) {
                .store => sum,
                .add => target.* + sum,
                .subtract => target.* - sum,
            };
        }

        inline fn prefetchRow(place: [*]const T) void {
            inline for (0..across * vector_size / 64) |line| {
                @prefetch(place + line * (64 / @sizeOf(T)), .{ .rw = .write });
            }
        }

        inline fn load(from: [*]const T) Vector {
            return @as(*align(@alignOf(T)) const Vector, @ptrCast(from)).*;
        }

        /// Keeps a broadcast in a register: as an operand in memory it would be loaded once for
        /// each product.
        inline fn held(v: Vector) Vector {
            if (!is_x86) return v;
            // "v" is all 32 registers of AVX-512, "x" the lower 16.
            if (register_count == 32) return asm (""
                : [out] "=v" (-> Vector),
                : [in] "0" (v),
            );
            return asm (""
                : [out] "=x" (-> Vector),
                : [in] "0" (v),
            );
        }
    };
}
