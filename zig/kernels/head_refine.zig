//! Logits of the output head from what head_screen left: a row that may be among the largest gets
//! its low plane added,
//! y[s, n] = (f32(sums[s, n] + sum_k x[s, k] * low[n, k]) * (1 / a[s])) * (1 / wa[n]),
//! the same bits as int8_matmul; the others get -infinity. Forced rows are added always. Where any
//! row of the step may look at all logits, it is int8_matmul.
//!
//! Inputs: x i16 (S, K), a f32 (S), high and low nibble4 (V, K), wa, centre and spread f32 (V),
//! sums i32 (S, V), bounds f32 (S, 2 * (V / 8)), params f32 (S, columns), history i32 (S, H),
//! lengths i32 (S). Output: y f32 (S, V). Units of work: 16 weight rows.

const std = @import("std");
const dot = @import("dot.zig");
const filters = @import("sampling_filters.zig");
const int8_matmul = @import("int8_matmul.zig");
const lanes = @import("lanes.zig");
const planes = @import("nibble_planes.zig");
const sampling = @import("sampling_probs.zig");
const rule = @import("head_rule.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

const Activations = planes.Activations;
const block_rows = planes.block_rows;

/// Rows are asked of memory this many units before their turn.
const ahead_units = 16;

/// A whole block is read as fast as so many of its rows.
const whole_count = 3;

pub fn run(task: *const Task) callconv(.c) void {
    HeadRefine(dot.native).run(task);
}

pub fn HeadRefine(comptime level: dot.Level) type {
    const D = dot.Ternary(level);
    return struct {
        pub fn run(task: *const Task) callconv(.c) void {
            const params = task.in(9);
            if (!rule.applies(params)) return int8_matmul.Int8Matmul(level).run(task);
            const share = task.share(rule.unitsOf(task.in(2).dims[0]));
            if (share.start == share.end) return;
            const size = Activations.size(task.in(2).dims[1]);
            const scratch = task.scratch[0..task.scratch_size];
            for (0..task.in(0).dims[0]) |s| {
                const x = task.in(0).row(i16, s);
                const a = task.in(1).ptr(f32)[s];
                const split: Activations = .split(x, scratch[0..size]);
                const forced: rule.Forced = .collect(.{
                    .params = params,
                    .history = task.in(10),
                    .lengths = task.in(11),
                    .units = .{ .start = share.start, .end = share.end },
                }, s, scratch[size..]);
                const row: Row = .{
                    .s = s,
                    .x = split,
                    .estimate = .init(x, a, split.sum),
                    .least = leastOf(task.in(8).row(f32, s), rule.wantedOf(params.row(f32, s)).?),
                };
                for (forced.bits, share.start..) |*unit_bits, unit| {
                    const wanted = survivors(task, &row, unit) | unit_bits.*;
                    unit_bits.* = wanted & rowsMask(task, unit);
                }
                for (forced.bits, 0..) |wanted, index| {
                    if (index + ahead_units < forced.bits.len) {
                        const ahead = index + ahead_units;
                        fetch(task, share.start + ahead, forced.bits[ahead]);
                    }
                    refine(task, &row, share.start + index, wanted);
                }
            }
        }

        /// Writes the logits of a unit, those of `wanted` rows exactly.
        fn refine(task: *const Task, row: *const Row, unit: usize, wanted: u16) void {
            const y = task.out(0).row(f32, row.s);
            const first = unit * rule.unit_rows;
            const least = -std.math.inf(f32);
            lanes.storeUpTo(f32, y[first..].ptr, lanes.splat(least), y.len - first);
            if (wanted == 0) return;
            for (0..rule.unit_rows / block_rows) |block| {
                const mask: u4 = @truncate(wanted >> @intCast(block * block_rows));
                const start = first + block * block_rows;
                if (@popCount(mask) >= whole_count) {
                    const low = lowSums(block_rows, task, row, start);
                    for (low, 0..) |sum, r| {
                        if (mask >> @intCast(r) & 1 != 0) store(task, row, start + r, sum);
                    }
                } else for (0..block_rows) |r| if (mask >> @intCast(r) & 1 != 0) {
                    store(task, row, start + r, lowSums(1, task, row, start + r)[0]);
                };
            }
        }

        /// sum_k x[k] * low[n, k] of `rows` rows of a block, from row `first` on.
        inline fn lowSums(
            comptime rows: usize,
            task: *const Task,
            row: *const Row,
            first: usize,
        ) [rows]i32 {
            const low = task.in(3);
            const block = planes.blockOf(low, first / block_rows);
            return planes.Product(D, rows, 1).run(.one, &.{
                .high = block + first % block_rows * planes.line_size,
                .chunks = planes.chunksOf(low.dims[1]),
                .x = .{row.x},
            })[0];
        }
    };
}

/// One row of activations, and what a logit of it must be able to reach.
const Row = struct { s: usize, x: Activations, estimate: rule.Estimate, least: f32 };

/// The `count`th largest of the lower bounds, or a little less; so many logits surely reach it.
fn leastOf(bounds: []const f32, count: usize) f32 {
    const lower = bounds[0 .. bounds.len / 2];
    if (count > lower.len) return -std.math.inf(f32);
    return filters.largestCut(lower, count);
}

/// Rows of a unit that may reach the least, or whose bounds are no numbers.
fn survivors(task: *const Task, row: *const Row, unit: usize) u16 {
    const bounds = task.in(8).row(f32, row.s);
    const count = bounds.len / 2;
    const first = unit * rule.unit_rows;
    const block = first / rule.bound_rows;
    const end = @min(count, block + rule.unit_rows / rule.bound_rows);
    for (bounds[count + block .. count + end]) |upper| {
        if (!(upper < row.least)) break;
    } else return 0;
    const sums = task.in(7).row(i32, row.s);
    const views = .{ task.in(5), task.in(6), task.in(4) };
    const low: rule.LowPlane = .load(views, first, sums.len - first);
    const upper = row.estimate.bounds(rule.loadSums(sums, first), low).upper;
    return ~@as(u16, @bitCast(upper < lanes.splat(row.least)));
}

/// Asks memory for the low plane of the `wanted` rows of a unit.
fn fetch(task: *const Task, unit: usize, wanted: u16) void {
    const low = task.in(3);
    var left = wanted;
    while (left != 0) : (left &= left - 1) {
        const n = unit * rule.unit_rows + @ctz(left);
        const row = planes.blockOf(low, n / block_rows) + n % block_rows * planes.line_size;
        for (0..planes.chunksOf(low.dims[1])) |chunk| {
            @prefetch(row + chunk * planes.chunk_size, .{});
        }
    }
}

fn rowsMask(task: *const Task, unit: usize) u16 {
    return rule.rowsMask(unit * rule.unit_rows, task.in(2).dims[0]);
}

fn store(task: *const Task, row: *const Row, n: usize, low_sum: i32) void {
    const inverse = 1 / task.in(1).ptr(f32)[row.s];
    const sum = task.in(7).row(i32, row.s)[n] +% low_sum;
    const weight_a = task.in(4).ptr(f32)[n];
    task.out(0).row(f32, row.s)[n] = int8_matmul.logitOf(sum, inverse, weight_a);
}

const testing = @import("testing.zig");
const head_screen = @import("head_screen.zig");

/// A head of random rows, and activations that are near some of them, so that logits stand out.
const Case = struct {
    sequences: u32,
    rows: u32,
    columns: u32,
    /// Temperature and top-k of each sequence.
    draws: [4][2]f32,
    history: []const i32 = &.{},
    penalty: f32 = 1,
};

/// Logits by both ways, and what `head_refine` gave.
const Logits = struct { full: []f32, refined: []f32 };

fn runCase(comptime level: dot.Level, gpa: std.mem.Allocator, case: Case) !Logits {
    const sequences, const rows, const columns = .{ case.sequences, case.rows, case.columns };
    const codes = try gpa.alloc(i8, rows * columns);
    testing.fillInteger(i8, codes, 3, -127, 127);
    const x = try gpa.alloc(i16, sequences * columns);
    testing.fillInteger(i16, x, 4, -6000, 6000);
    const a = try gpa.alloc(f32, sequences);
    @memset(a, 400);
    const weight_a = try gpa.alloc(f32, rows);
    for (weight_a, 0..) |*value, n| value.* = 100 + @as(f32, @floatFromInt(n % 7));
    const params = try gpa.alloc(f32, sequences * 8);
    @memset(params, 0);
    for (0..sequences) |s| {
        params[s * 8 ..][0..2].* = case.draws[s];
        params[s * 8 + @intFromEnum(sampling.Column.repetition_penalty)] = case.penalty;
    }
    const places: u32 = @intCast(case.history.len);
    const history = try gpa.alloc(i32, sequences * places);
    for (0..sequences) |s| @memcpy(history[s * places ..][0..places], case.history);
    const lengths = try gpa.alloc(i32, sequences);
    @memset(lengths, @intCast(places));
    const both: int8_matmul.TestPlanes = try .pack(gpa, codes, rows, columns);
    const blocks = 2 * ((rows + rule.bound_rows - 1) / rule.bound_rows);
    const sums = try gpa.alloc(i32, sequences * rows);
    const bounds = try gpa.alloc(f32, sequences * blocks);
    const logits: Logits = .{
        .full = try gpa.alloc(f32, sequences * rows),
        .refined = try gpa.alloc(f32, sequences * rows),
    };
    const product = [_]View{
        testing.dense(i16, x, &.{ sequences, columns }),
        testing.dense(f32, a, &.{sequences}),
        both.high,
        both.low,
        testing.dense(f32, weight_a, &.{rows}),
    };
    const low = [_]View{
        testing.dense(f32, both.centre, &.{rows}),
        testing.dense(f32, both.spread, &.{rows}),
    };
    const drawing = [_]View{
        testing.dense(f32, params, &.{ sequences, 8 }),
        testing.dense(i32, history, &.{ sequences, places }),
        testing.dense(i32, lengths, &.{sequences}),
    };
    const screened = [_]View{
        testing.dense(i32, sums, &.{ sequences, rows }),
        testing.dense(f32, bounds, &.{ sequences, blocks }),
    };
    const screen_inputs = product[0..3].* ++ product[4..5].* ++ low ++ drawing;
    const written = [_][]u8{ std.mem.sliceAsBytes(sums), std.mem.sliceAsBytes(bounds) };
    const screen = &head_screen.HeadScreen(level).run;
    try testing.runSplit(screen, &screen_inputs, &screened, {}, &written);
    const refine_inputs = product ++ low ++ screened ++ drawing;
    const shape = [_]u32{ sequences, rows };
    const y = [_]View{testing.dense(f32, logits.refined, &shape)};
    const refined = [_][]u8{std.mem.sliceAsBytes(logits.refined)};
    try testing.runSplit(&HeadRefine(level).run, &refine_inputs, &y, {}, &refined);
    const full = [_]View{testing.dense(f32, logits.full, &shape)};
    _ = testing.run(&int8_matmul.Int8Matmul(level).run, &product, &full, {}, .{});
    return logits;
}

/// Every logit is exact or -infinity, and exact it is where it has to be.
fn check(case: Case) !void {
    inline for (comptime std.enums.values(dot.Level)) |level| if (comptime dot.runs(level)) {
        var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
        defer arena.deinit();
        const gpa = arena.allocator();
        const logits = try runCase(level, gpa, case);
        for (0..case.sequences) |s| {
            const full = logits.full[s * case.rows ..][0..case.rows];
            const refined = logits.refined[s * case.rows ..][0..case.rows];
            const k = rule.wantedOf(&case.draws[s]) orelse case.rows;
            const sorted = try gpa.dupe(f32, full);
            for (case.history) |token| sorted[@intCast(token)] = -std.math.inf(f32);
            std.mem.sort(f32, sorted, {}, std.sort.desc(f32));
            const least = sorted[@min(k, case.rows) - 1];
            for (full, refined, 0..) |want, got, n| {
                const token: i32 = @intCast(n);
                const forced = std.mem.indexOfScalar(i32, case.history, token) != null;
                if (want >= least or forced) try std.testing.expectEqual(want, got);
                if (got != -std.math.inf(f32)) try std.testing.expectEqual(want, got);
            }
        }
    };
}

const greedy: [2]f32 = .{ 0, 0 };

test "head_refine: the largest logits are those of the full head, on ragged shapes" {
    for ([_][2]u32{ .{ 1, 1 }, .{ 17, 40 }, .{ 203, 130 }, .{ 1000, 300 } }) |shape| {
        for ([_]f32{ 1, 2, 40, 64, 65 }) |k| try check(.{
            .sequences = 1,
            .rows = shape[0],
            .columns = shape[1],
            .draws = @splat(.{ 0.7, k }),
        });
        try check(.{
            .sequences = 4,
            .rows = shape[0],
            .columns = shape[1],
            .draws = .{ greedy, .{ 1, 3 }, greedy, .{ 2, 64 } },
        });
    }
}

test "head_refine: rows of the history are exact where they are penalized" {
    try check(.{
        .sequences = 2,
        .rows = 403,
        .columns = 200,
        .draws = .{ greedy, .{ 1, 5 }, greedy, greedy },
        .history = &.{ 0, 402, 77, 77, 78, 79, 80, 400 },
        .penalty = 1.3,
    });
}

test "head_refine: screens, and does not where one row may look at all logits" {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    var case: Case = .{ .sequences = 2, .rows = 2000, .columns = 256, .draws = @splat(greedy) };
    const screened = try runCase(.scalar, arena.allocator(), case);
    var left: usize = 0;
    for (screened.refined) |logit| left += @intFromBool(logit == -std.math.inf(f32));
    try std.testing.expect(left > 3000);
    case.draws[1] = .{ 1, 0 };
    const all = try runCase(.scalar, arena.allocator(), case);
    try std.testing.expectEqualSlices(f32, all.full, all.refined);
}
