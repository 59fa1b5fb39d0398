//! Ternary weights times int8 activations, y = x W^T with W in {-1, 0, 1}:
//! y[r, n] = (f32(sum_k q[r, k] * W[n, k]) * row_scale[n]) * (1 / a[r])
//! (+ bias[n]) (+ residual[r, n]).
//!
//! Inputs: q i8 (R, K), a f32 (R), w tile2 or tile3 (N, K) with row scales, then bias f32 (N) and
//! residual f32 (R, N) where the attributes say so. Output: y f32 (R, N), which may be the residual
//! itself. Sums are exact in i32 for K up to 2^18. Units of work: blocks of 32 rows of w.
//! Packings: docs/formats/tile2.md and tile3.md.

const std = @import("std");
const dot = @import("dot.zig");
const gemv = @import("ternary_gemv.zig");
const gemm = @import("ternary_gemm.zig");
const tiles = @import("ternary_tiles.zig");
const Output = @import("ternary_output.zig").Output;
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const Packing = tiles.Packing;
const block_rows = tiles.block_rows;

/// 1 where the optional operand is present; they follow the required ones in this order.
pub const Attrs = extern struct { has_bias: u32, has_residual: u32 };

const columns_max = 1 << 18;

/// Bytes of weights that few tokens take at a time: some microseconds of reading, so that no worker
/// waits long for another at the end.
const grain_size = 64 << 10;

/// Smaller matrices are done before claiming pays: each worker keeps to its share.
const claimed_size_min = 1 << 20;

pub fn run(task: *const Task) callconv(.c) void {
    TernaryMatmul(dot.native).run(task);
}

pub fn TernaryMatmul(comptime level: dot.Level) type {
    const D = dot.Ternary(level);
    return struct {
        pub fn run(task: *const Task) callconv(.c) void {
            const x = task.in(0);
            const w = task.in(2);
            std.debug.assert(w.dims[1] == x.dims[1]);
            std.debug.assert(w.dims[1] <= columns_max);
            if (x.dims[0] == 0) return;
            const work: gemm.Work = .{
                .weights = w.data,
                .packing = .of(w.layout),
                .task = task,
                .block_count = (w.dims[0] + block_rows - 1) / block_rows,
                .x = x,
                .output = outputOf(task),
            };
            const scratch = task.scratch[0..task.scratch_size];
            switch (work.packing) {
                inline else => |packing| if (multiplyFew(packing, &work, scratch)) return,
            }
            gemm.run(D, &work, scratch);
        }

        /// False, and nothing done, where there are too many tokens.
        fn multiplyFew(comptime packing: Packing, work: *const gemm.Work, scratch: []u8) bool {
            const tile_count = packing.tilesAcross(work.x.dims[1]);
            const padded_size = tile_count * packing.columns();
            switch (work.x.dims[0]) {
                inline 1...gemv.tokensMax(D) => |tokens| {
                    if (tokens * padded_size > scratch.len) return false;
                    const Gemv = gemv.Gemv(D, packing, tokens);
                    multiply(Gemv, work, .{ .tile_count = tile_count, .memory = scratch });
                    return true;
                },
                else => return false,
            }
        }

        const Room = struct { tile_count: usize, memory: []u8 };

        fn multiply(comptime Gemv: type, work: *const gemm.Work, room: Room) void {
            const columns = work.x.dims[1];
            const padded_size = room.tile_count * Gemv.tile_columns;
            var operands: Gemv.Operands = undefined;
            operands.tile_count = room.tile_count;
            var x_sums: [Gemv.token_count]i32 = undefined;
            for (&operands.x, &x_sums, 0..) |*row, *x_sum, token| {
                const values = work.x.row(i8, token);
                x_sum.* = gemv.sum(values);
                row.* = @ptrCast(values.ptr);
                if (columns == padded_size) continue;
                const padded = room.memory[token * padded_size ..][0..padded_size];
                @memcpy(padded[0..columns], @as([]const u8, @ptrCast(values)));
                @memset(padded[columns..], 0);
                row.* = padded.ptr;
            }
            const block_size = room.tile_count * tiles.tile_size;
            const size = work.block_count * block_size;
            const grain = if (size < claimed_size_min) size else grain_size / @max(1, block_size);
            var units = work.task.units(work.block_count, grain);
            while (units.next()) |range| for (range.start..range.end) |block| {
                operands.weights = work.weights + block * block_size;
                var sums: Gemv.Sums align(64) = undefined;
                Gemv.run(&operands, &sums);
                for (&sums, x_sums, 0..) |*token_sums, x_sum, token| {
                    for (token_sums) |*sum| sum.* -= x_sum;
                    work.output.store(block, token, @alignCast(token_sums));
                }
            };
        }
    };
}

fn outputOf(task: *const Task) Output {
    const attrs = task.attr(Attrs);
    return .{
        .y = task.out(0),
        .a = task.in(1).ptr(f32),
        .row_scale = task.in(2).row_scale,
        .bias = if (attrs.has_bias != 0) task.in(3).ptr(f32) else null,
        .residual = if (attrs.has_residual != 0) task.in(3 + attrs.has_bias) else null,
        .rows = task.in(2).dims[0],
    };
}

const testing = @import("testing.zig");
const pack_tiles = @import("pack_tiles.zig");

const Case = struct {
    packing: Packing = .tile2,
    rows: u32,
    columns: u32,
    tokens: u32,
    /// The activations' and weights' bounds; equal ones give extreme sums.
    x_low: i8 = -128,
    x_high: i8 = 127,
    weight_low: i8 = -1,
    bias: bool = false,
    residual: bool = false,
};

/// The operands of a case.
const Data = struct {
    x: []i8, // (tokens, columns + 3)
    codes: []i8, // (rows, columns)
    a: []f32,
    scale: []f32,
    bias: []f32,
    residual: []f32, // (tokens, rows)

    fn init(gpa: std.mem.Allocator, case: Case) !Data {
        const data: Data = .{
            .x = try gpa.alloc(i8, case.tokens * (case.columns + 3)),
            .codes = try gpa.alloc(i8, case.rows * case.columns),
            .a = try gpa.alloc(f32, case.tokens),
            .scale = try gpa.alloc(f32, case.rows),
            .bias = try gpa.alloc(f32, case.rows),
            .residual = try gpa.alloc(f32, case.tokens * case.rows),
        };
        testing.fillInteger(i8, data.x, 1, case.x_low, case.x_high);
        testing.fillInteger(i8, data.codes, 2, case.weight_low, 1);
        for (data.a, 0..) |*value, i| value.* = 31.7 + @as(f32, @floatFromInt(i));
        testing.fillNormal(f32, data.scale, 3, 0.02);
        testing.fillNormal(f32, data.bias, 4, 1);
        testing.fillNormal(f32, data.residual, 5, 1);
        return data;
    }

    /// The definition.
    fn reference(data: *const Data, case: Case, y: []f32) void {
        const k = case.columns;
        for (0..case.tokens) |r| for (0..case.rows) |n| {
            var sum: i32 = 0;
            for (data.x[r * (k + 3) ..][0..k], data.codes[n * k ..][0..k]) |value, weight| {
                sum += @as(i32, value) * weight;
            }
            var value = @as(f32, @floatFromInt(sum)) * data.scale[n];
            value = value * (1 / data.a[r]);
            if (case.bias) value = value + data.bias[n];
            if (case.residual) value = value + data.residual[r * case.rows + n];
            y[r * case.rows + n] = value;
        };
    }
};

/// Compares every level this machine runs with the definition, bit for bit, in both packings.
fn check(case: Case) !void {
    for (std.enums.values(Packing)) |packing| {
        var one = case;
        one.packing = packing;
        try checkPacking(one);
    }
}

/// The packed codes; row scales are still to be set.
fn packedCodes(gpa: std.mem.Allocator, case: Case, codes: []const i8) !View {
    const count = (case.rows + 31) / 32 * case.packing.tilesAcross(case.columns);
    const bytes = try gpa.alignedAlloc(u8, .@"64", count * tiles.tile_size);
    const layout: @FieldType(View, "layout") = switch (case.packing) {
        .tile2 => .tile2,
        .tile3 => .tile3,
    };
    const w = testing.packedRows(layout, bytes, case.rows, case.columns);
    const inputs = [_]View{testing.dense(i8, codes, &.{ case.rows, case.columns })};
    try testing.runSplit(&pack_tiles.run, &inputs, &.{w}, {}, &.{bytes});
    return w;
}

fn checkPacking(case: Case) !void {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const gpa = arena.allocator();
    const data: Data = try .init(gpa, case);
    var w = try packedCodes(gpa, case, data.codes);
    w.row_scale = data.scale.ptr;
    var inputs: std.ArrayList(View) = .empty;
    const x_strides = [_]i64{ case.columns + 3, 1 };
    try inputs.appendSlice(gpa, &.{
        testing.strided(i8, data.x.ptr, &.{ case.tokens, case.columns }, &x_strides),
        testing.dense(f32, data.a, &.{case.tokens}),
        w,
    });
    const shape = [_]u32{ case.tokens, case.rows };
    if (case.bias) try inputs.append(gpa, testing.dense(f32, data.bias, &.{case.rows}));
    if (case.residual) try inputs.append(gpa, testing.dense(f32, data.residual, &shape));
    const attrs: Attrs = .{
        .has_bias = @intFromBool(case.bias),
        .has_residual = @intFromBool(case.residual),
    };
    const want = try gpa.alloc(f32, case.tokens * case.rows);
    data.reference(case, want);
    const y = try gpa.alloc(f32, want.len);
    const outputs = [_]View{testing.dense(f32, y, &shape)};
    inline for (comptime std.enums.values(dot.Level)) |level| if (comptime dot.runs(level)) {
        for ([_]u32{ 1, 2, 3, 8 }) |worker_count| {
            @memset(y, std.math.nan(f32));
            const kernel = &TernaryMatmul(level).run;
            const options: testing.Options = .{ .worker_count = worker_count };
            const outcome = testing.run(kernel, inputs.items, &outputs, attrs, options);
            try std.testing.expectEqual(@as(@TypeOf(outcome.code), .none), outcome.code);
            const got = std.mem.sliceAsBytes(y);
            std.testing.expectEqualSlices(u8, std.mem.sliceAsBytes(want), got) catch |err| {
                std.debug.print("level {t}, workers {}, {}\n", .{ level, worker_count, case });
                return err;
            };
        }
    };
}

test "ternary_matmul: every level equals the definition on shapes around its tiles" {
    for ([_]u32{ 1, 31, 32, 33, 64, 112 }) |rows| {
        for ([_]u32{ 1, 4, 15, 16, 17, 19, 20, 21, 112, 256 }) |columns| {
            for ([_]u32{ 1, 2, 3, 4, 7, 8, 9, 12, 13, 40 }) |tokens| {
                if (tokens > 9 and rows > 33 and columns < 112) continue;
                try check(.{ .rows = rows, .columns = columns, .tokens = tokens });
            }
        }
    }
}

test "ternary_matmul: bias and residual are added in this order" {
    for ([_]u32{ 1, 5, 13 }) |tokens| {
        const shape: Case = .{ .rows = 49, .columns = 40, .tokens = tokens };
        for ([_][2]bool{ .{ true, false }, .{ false, true }, .{ true, true } }) |with| {
            var case = shape;
            case.bias = with[0];
            case.residual = with[1];
            try check(case);
        }
    }
}

test "ternary_matmul: the output may be the residual itself" {
    for ([_]u32{ 1, 13 }) |tokens| {
        const case: Case = .{ .rows = 49, .columns = 40, .tokens = tokens, .residual = true };
        var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
        defer arena.deinit();
        const data: Data = try .init(arena.allocator(), case);
        const want = try arena.allocator().alloc(f32, data.residual.len);
        data.reference(case, want);
        var w = try packedCodes(arena.allocator(), case, data.codes);
        w.row_scale = data.scale.ptr;
        const y = testing.dense(f32, data.residual, &.{ tokens, case.rows });
        const inputs = [_]View{
            testing.strided(i8, data.x.ptr, &.{ tokens, case.columns }, &.{ case.columns + 3, 1 }),
            testing.dense(f32, data.a, &.{tokens}),
            w,
            y,
        };
        const attrs: Attrs = .{ .has_bias = 0, .has_residual = 1 };
        _ = testing.run(&run, &inputs, &.{y}, attrs, .{ .worker_count = 2 });
        try std.testing.expectEqualSlices(f32, want, data.residual);
    }
}

test "ternary_matmul: sums at both ends of the range are exact" {
    for ([_]u32{ 1, 2, 3, 6, 13 }) |tokens| {
        for ([_]i8{ -128, -127, 127 }) |x| {
            for ([_]u32{ 1040, 9001 }) |columns| try check(.{
                .rows = 33,
                .columns = columns,
                .tokens = tokens,
                .x_low = x,
                .x_high = x,
                .weight_low = 1,
            });
        }
    }
}

test "ternary_matmul: many columns leave room for few tokens at a time" {
    try check(.{ .rows = 32, .columns = 40_000, .tokens = 30 });
    try check(.{ .rows = 1, .columns = columns_max, .tokens = 1, .x_low = -128, .x_high = -128 });
}
