//! Int8 weights times wide integer activations, the output head in full:
//! y[r, n] = (f32(sum_k x[r,k] * w[n,k]) * (1 / a[r])) * (1 / wa[n]).
//!
//! Inputs: x i16 (R, K), a f32 (R), the high and the low plane of w, nibble4 (N, K), wa f32 (N);
//! further ones are not looked at. Output: y f32 (R, N). The sum is exact in i32: whoever quantizes
//! picks levels so that it fits, 32639 at most. Workers take contiguous blocks of 4 weight rows.

const std = @import("std");
const dot = @import("dot.zig");
const planes = @import("nibble_planes.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const Activations = planes.Activations;
const block_rows = planes.block_rows;

/// Bytes of activations that stay in the second-level cache while weights pass by.
const x_cache_size = 256 << 10;
const tokens_max = 64;

pub fn run(task: *const Task) callconv(.c) void {
    Int8Matmul(dot.native).run(task);
}

pub fn Int8Matmul(comptime level: dot.Level) type {
    const D = dot.Ternary(level);
    return struct {
        pub fn run(task: *const Task) callconv(.c) void {
            const x = task.in(0);
            const columns = task.in(2).dims[1];
            std.debug.assert(columns == x.dims[1]);
            const tokens: usize = x.dims[0];
            const size = Activations.size(@max(columns, 1));
            std.debug.assert(size <= task.scratch_size);
            const piece = @min(@max(x_cache_size / size, 1), tokens_max);
            var split: [tokens_max]Activations = undefined;
            var first: usize = 0;
            while (first < tokens) : (first += piece) {
                const count = @min(piece, tokens - first);
                for (split[0..count], 0..) |*token, i| {
                    token.* = .split(x.row(i16, first + i), task.scratch[i * size ..][0..size]);
                }
                multiplyPiece(task, first, split[0..count]);
            }
        }

        /// All of the worker's rows times some tokens, of which `first` is the first.
        fn multiplyPiece(task: *const Task, first: usize, x: []const Activations) void {
            const rows: usize = task.in(2).dims[0];
            const share = task.share((rows + block_rows - 1) / block_rows);
            for (share.start..share.end) |block| {
                var token: usize = 0;
                while (token < x.len) : (token += planes.tokensOf(D)) {
                    switch (@min(x.len - token, planes.tokensOf(D))) {
                        inline 1...planes.tokensOf(D) => |count| {
                            multiplyBlock(count, task, .{ block, token, first }, x);
                        },
                        else => unreachable,
                    }
                }
            }
        }

        /// `place`: the block, the first of the tokens in `x`, and where `x` begins in the input.
        inline fn multiplyBlock(
            comptime tokens: usize,
            task: *const Task,
            place: [3]usize,
            x: []const Activations,
        ) void {
            const block, const at, const first = place;
            const Product = planes.Product(D, block_rows, tokens);
            const result = Product.run(.both, &.{
                .high = planes.blockOf(task.in(2), block),
                .low = planes.blockOf(task.in(3), block),
                .chunks = planes.chunksOf(task.in(2).dims[1]),
                .x = x[at..][0..tokens].*,
                .ahead = at == 0 and x.len > tokens,
            });
            for (result, x[at..][0..tokens], first + at..) |sums, activations, token| {
                store(task, token, block * block_rows, sums, activations.sum);
            }
        }
    };
}

/// The last step of a block for one token.
inline fn store(
    task: *const Task,
    token: usize,
    row: usize,
    sums: [block_rows]i32,
    x_sum: i32,
) void {
    const inverse = 1 / task.in(1).ptr(f32)[token];
    const y = task.out(0).row(f32, token);
    const weight_a = task.in(4).ptr(f32);
    for (row..@min(row + block_rows, y.len), sums[0..@min(block_rows, y.len - row)]) |n, sum| {
        y[n] = logitOf(sum -% x_sum *% planes.offset, inverse, weight_a[n]);
    }
}

/// From an exact sum; `inverse` is 1 / a of the token.
pub inline fn logitOf(sum: i32, inverse: f32, weight_a: f32) f32 {
    return @as(f32, @floatFromInt(sum)) * inverse * (1 / weight_a);
}

const testing = @import("testing.zig");
const quantize_nibbles = @import("quantize_nibbles.zig");

/// Both planes of some rows, packed.
pub const TestPlanes = struct {
    high: View,
    low: View,
    centre: []f32,
    spread: []f32,

    pub fn pack(gpa: std.mem.Allocator, codes: []const i8, rows: u32, columns: u32) !TestPlanes {
        const blocks = (rows + block_rows - 1) / block_rows;
        const size = blocks * block_rows * planes.chunksOf(columns) * planes.line_size;
        const packed_planes: TestPlanes = .{
            .high = testing.packedRows(
                .nibble4,
                try gpa.alignedAlloc(u8, .@"64", size),
                rows,
                columns,
            ),
            .low = testing.packedRows(
                .nibble4,
                try gpa.alignedAlloc(u8, .@"64", size),
                rows,
                columns,
            ),
            .centre = try gpa.alloc(f32, rows),
            .spread = try gpa.alloc(f32, rows),
        };
        for (0..blocks) |block| {
            const rest = codes[block * block_rows * columns ..];
            const of_block = rest[0..@min(rest.len, block_rows * columns)];
            quantize_nibbles.packBlock(block, of_block, &packed_planes.high, &packed_planes.low);
        }
        for (0..rows) |row| {
            const w = codes[row * columns ..][0..columns];
            packed_planes.centre[row], packed_planes.spread[row] = quantize_nibbles.measure(w);
        }
        return packed_planes;
    }
};

const Shape = struct { rows: u32, columns: u32, tokens: u32, extreme: bool = false };

fn check(shape: Shape) !void {
    const rows, const columns, const tokens = .{ shape.rows, shape.columns, shape.tokens };
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const gpa = arena.allocator();
    const x = try gpa.alloc(i16, tokens * columns);
    const w = try gpa.alloc(i8, rows * columns);
    // Of the widest activations only those of few columns keep their sum within an i32.
    const most: i16 = if (columns <= 257) planes.x_max else 2047;
    testing.fillInteger(i16, x, 1, if (shape.extreme) most else -most, most);
    testing.fillInteger(i8, w, 2, -128, if (shape.extreme) -128 else 127);
    const a = try gpa.alloc(f32, tokens);
    const weight_a = try gpa.alloc(f32, rows);
    for (a, 0..) |*value, i| value.* = 301.7 + @as(f32, @floatFromInt(i));
    for (weight_a, 0..) |*value, i| value.* = 77.1 + @as(f32, @floatFromInt(i));
    const want = try gpa.alloc(f32, tokens * rows);
    for (0..tokens) |r| for (0..rows) |n| {
        var sum: i32 = 0;
        for (x[r * columns ..][0..columns], w[n * columns ..][0..columns]) |value, weight| {
            sum += @as(i32, value) * weight;
        }
        const scaled = @as(f32, @floatFromInt(sum)) * (1 / a[r]);
        want[r * rows + n] = scaled * (1 / weight_a[n]);
    };
    const y = try gpa.alloc(f32, want.len);
    const both: TestPlanes = try .pack(gpa, w, rows, columns);
    const inputs = [_]View{
        testing.dense(i16, x, &.{ tokens, columns }),
        testing.dense(f32, a, &.{tokens}),
        both.high,
        both.low,
        testing.dense(f32, weight_a, &.{rows}),
    };
    const outputs = [_]View{testing.dense(f32, y, &.{ tokens, rows })};
    inline for (comptime std.enums.values(dot.Level)) |level| if (comptime dot.runs(level)) {
        const kernel = &Int8Matmul(level).run;
        try testing.runSplit(kernel, &inputs, &outputs, {}, &.{std.mem.sliceAsBytes(y)});
        try std.testing.expectEqualSlices(f32, want, y);
    };
}

test "int8_matmul: every level equals the definition on shapes around its tiles" {
    for ([_]u32{ 1, 3, 4, 9, 32 }) |rows| for ([_]u32{ 1, 63, 64, 65, 127, 128, 129 }) |columns| {
        for ([_]u32{ 1, 2, 3, 7 }) |tokens| {
            try check(.{ .rows = rows, .columns = columns, .tokens = tokens });
        }
    };
    try check(.{ .rows = 5, .columns = 8191, .tokens = 1, .extreme = true });
    try check(.{ .rows = 5, .columns = 8191, .tokens = 6, .extreme = true });
    try check(.{ .rows = 6, .columns = 257, .tokens = 1, .extreme = true });
    try check(.{ .rows = 3, .columns = 60_000, .tokens = 9 });
    try check(.{ .rows = 3, .columns = 40, .tokens = 70 });
}
