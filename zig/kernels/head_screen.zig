//! The output head by its high plane alone, where sampling looks at the largest logits only:
//! sums[s, n] = sum_k x[s, k] * (16 * high[n, k] - 128), the product but for the low plane, and
//! bounds[s, b] = max over the 8 rows of block b of a lower bound of their logits (head_rule.zig),
//! forced rows left out; then, bounds[s, V / 8 + b], of an upper bound, infinity for no number.
//! Where any row of the step may look at all logits, nothing is done.
//!
//! Inputs: x i16 (S, K), a f32 (S), high nibble4 (V, K), wa, centre and spread f32 (V), params
//! f32 (S, columns), history i32 (S, H), lengths i32 (S). Outputs: sums i32 (S, V), bounds
//! f32 (S, 2 * (V / 8)). Sums are exact in i32. Units of work: 16 weight rows.

const std = @import("std");
const dot = @import("dot.zig");
const lanes = @import("lanes.zig");
const planes = @import("nibble_planes.zig");
const rule = @import("head_rule.zig");
const Task = @import("task.zig").Task;

const Activations = planes.Activations;

pub fn run(task: *const Task) callconv(.c) void {
    HeadScreen(dot.native).run(task);
}

pub fn HeadScreen(comptime level: dot.Level) type {
    const D = dot.Ternary(level);
    return struct {
        pub fn run(task: *const Task) callconv(.c) void {
            if (!rule.applies(task.in(6))) return;
            const high = task.in(2);
            const rows: usize = high.dims[0];
            const tokens: usize = task.in(0).dims[0];
            const share = task.share(rule.unitsOf(rows));
            if (share.start == share.end or tokens == 0) return;
            var split: [rule.tokens_max]Activations = undefined;
            var estimates: [rule.tokens_max]rule.Estimate = undefined;
            const size = Activations.size(high.dims[1]);
            for (0..tokens) |s| {
                const x = task.in(0).row(i16, s);
                split[s] = .split(x, task.scratch[s * size ..][0..size]);
                estimates[s] = .init(x, task.in(1).ptr(f32)[s], split[s].sum);
            }
            const blocks_a_unit = rule.unit_rows / planes.block_rows;
            const block_end = (rows + planes.block_rows - 1) / planes.block_rows;
            const end = @min(block_end, share.end * blocks_a_unit);
            for (share.start * blocks_a_unit..end) |block| {
                sumBlock(task, block, split[0..tokens]);
            }
            for (estimates[0..tokens], 0..) |estimate, s| {
                const forced: rule.Forced = .collect(.{
                    .params = task.in(6),
                    .history = task.in(7),
                    .lengths = task.in(8),
                    .units = .{ .start = share.start, .end = share.end },
                }, s, task.scratch[0..task.scratch_size]);
                for (share.start..share.end) |unit| bound(task, s, unit, .{
                    .estimate = estimate,
                    .forced = forced.of(unit),
                });
            }
        }

        fn sumBlock(task: *const Task, block: usize, x: []const Activations) void {
            var token: usize = 0;
            while (token < x.len) : (token += planes.tokensOf(D)) {
                switch (@min(x.len - token, planes.tokensOf(D))) {
                    inline 1...planes.tokensOf(D) => |count| {
                        sumTokens(count, task, block, x, token);
                    },
                    else => unreachable,
                }
            }
        }

        inline fn sumTokens(
            comptime count: usize,
            task: *const Task,
            block: usize,
            x: []const Activations,
            first: usize,
        ) void {
            const high = task.in(2);
            const Product = planes.Product(D, planes.block_rows, count);
            const result = Product.run(.one, &.{
                .high = planes.blockOf(high, block),
                .chunks = planes.chunksOf(high.dims[1]),
                .x = x[first..][0..count].*,
                .ahead = first == 0 and x.len > count,
            });
            const row = block * planes.block_rows;
            for (result, x[first..][0..count], first..) |token_sums, activations, s| {
                const sums = task.out(0).row(i32, s)[row..];
                const surplus = activations.sum *% planes.offset;
                const left = @min(sums.len, planes.block_rows);
                for (sums[0..left], token_sums[0..left]) |*target, sum| {
                    target.* = sum *% 16 -% surplus;
                }
            }
        }
    };
}

const Screening = struct { estimate: rule.Estimate, forced: u16 };

/// The bounds of a unit.
fn bound(task: *const Task, s: usize, unit: usize, screening: Screening) void {
    const sums = task.out(0).row(i32, s);
    const bounds = task.out(1).row(f32, s);
    const row = unit * rule.unit_rows;
    const low: rule.LowPlane = .load(.{ task.in(4), task.in(5), task.in(3) }, row, sums.len - row);
    const both = screening.estimate.bounds(rule.loadSums(sums, row), low);
    const counted: @Vector(lanes.width, bool) =
        @bitCast(rule.rowsMask(row, sums.len) & ~screening.forced);
    const least = lanes.splat(-std.math.inf(f32));
    const most = lanes.splat(std.math.inf(f32));
    const upper = @select(f32, both.upper == both.upper, both.upper, most);
    const lower_max = blockMax(@select(f32, counted, both.lower, least));
    const upper_max = blockMax(@select(f32, counted, upper, least));
    const count = bounds.len / 2;
    const first = row / rule.bound_rows;
    const here = @min(lower_max.len, count - first);
    for (lower_max[0..here], upper_max[0..here], first..) |lower, above, block| {
        bounds[block] = lower;
        bounds[count + block] = above;
    }
}

/// The largest of each eight lanes.
inline fn blockMax(v: lanes.F32) [2]f32 {
    comptime std.debug.assert(rule.bound_rows == 8 and lanes.width == 16);
    var most = v;
    inline for (.{ 4, 2, 1 }) |distance| {
        const other: [lanes.width]i32 = comptime blk: {
            var from: [lanes.width]i32 = undefined;
            for (&from, 0..) |*lane, i| lane.* = i ^ distance;
            break :blk from;
        };
        most = lanes.max(most, @shuffle(f32, most, undefined, other));
    }
    return .{ most[0], most[8] };
}
