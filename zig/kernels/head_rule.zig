//! When the output head is screened and by what bounds; head_screen and head_refine agree on it.
//!
//! The high plane alone gives a row's sum but for e = sum_k x[k] * (low[n, k] - centre[n]), whose
//! size is about |x| * spread[n] where x and the low nibbles have nothing to do with each other. A
//! row whose sum cannot reach the largest ones by `band` times that is left out. Nothing proves
//! that e stays within: campaigns measure it (test/long/screened-head.test.ts).

const std = @import("std");
const lanes = @import("lanes.zig");
const planes = @import("nibble_planes.zig");
const sampling = @import("sampling_probs.zig");
const View = @import("task.zig").View;

/// Errors this many times as large as they are on average are allowed for.
pub const band = 6;

/// A step of more rows is bound by arithmetic, of which screening saves none.
pub const tokens_max = 8;

/// Of longer lists too much would have to be refined.
pub const top_k_max = 64;

/// Weight rows of a unit of work, and of one entry of the bounds.
pub const unit_rows = lanes.width;
pub const bound_rows = 8;

/// Whether the rows of this step look at nothing but their largest logits, and are few.
pub fn applies(params: *const View) bool {
    if (params.dims[0] > tokens_max) return false;
    for (0..params.dims[0]) |s| if (wantedOf(params.row(f32, s)) == null) return false;
    return true;
}

/// How many of the largest logits sampling looks at; null where it may be all.
pub fn wantedOf(params: []const f32) ?usize {
    if (!(sampling.param(params, .temperature) > 0)) return 1;
    const k = sampling.countOf(sampling.param(params, .top_k));
    return if (k >= 1 and k <= top_k_max) k else null;
}

pub fn unitsOf(rows: usize) usize {
    return (rows + unit_rows - 1) / unit_rows;
}

/// Rows whose logits sampling will change: those of the history where it penalizes or bans. They
/// are refined always, and the largest are looked for among the others.
pub const Forced = struct {
    /// A bit a row, from unit `start` on.
    bits: []u16,
    start: usize,

    pub const Parts = struct {
        params: *const View, // f32 (sequences, columns)
        history: *const View, // i32 (sequences, places)
        lengths: *const View, // i32 (sequences)
        units: struct { start: usize, end: usize },
    };

    /// Of sequence `s`; ids outside the vocabulary are left to sampling, which refuses them.
    pub fn collect(parts: Parts, s: usize, scratch: []u8) Forced {
        const count = parts.units.end - parts.units.start;
        const words: [*]u16 = @ptrCast(@alignCast(scratch.ptr));
        std.debug.assert(2 * count <= scratch.len);
        const forced: Forced = .{ .bits = words[0..count], .start = parts.units.start };
        for (forced.bits) |*unit| unit.* = 0;
        const params = parts.params.row(f32, s);
        const penalty = sampling.param(params, .repetition_penalty);
        const bans = sampling.countOf(sampling.param(params, .no_repeat_ngram)) > 0;
        if (!bans and !(penalty > 0 and penalty != 1)) return forced;
        const history = parts.history.row(i32, s);
        const len = parts.lengths.ptr(i32)[s];
        if (len < 0 or len > history.len) return forced;
        for (history[0..@intCast(len)]) |token| {
            if (token < 0) continue;
            const row: usize = @intCast(token);
            const unit = row / unit_rows;
            if (unit < parts.units.start or unit >= parts.units.end) continue;
            const bit: u4 = @intCast(row % unit_rows);
            forced.bits[unit - forced.start] |= @as(u16, 1) << bit;
        }
        return forced;
    }

    pub fn of(forced: *const Forced, unit: usize) u16 {
        return forced.bits[unit - forced.start];
    }
};

/// What the high plane says of the logits of one row of activations.
pub const Estimate = struct {
    inverse: f32,
    x_sum: f32,
    reach: f32,

    pub fn init(x: []const i16, a: f32, x_sum: i32) Estimate {
        var squares: u64 = 0;
        for (x) |value| squares += @intCast(@as(i32, value) * value);
        const size: f32 = @floatCast(@sqrt(@as(f64, @floatFromInt(squares))));
        return .{ .inverse = 1 / a, .x_sum = @floatFromInt(x_sum), .reach = band * size };
    }

    pub const Bounds = struct { lower: lanes.F32, upper: lanes.F32 };

    /// Of sixteen rows, from their sums without the low plane.
    pub inline fn bounds(
        estimate: Estimate,
        sums: lanes.I32,
        low: LowPlane,
    ) Bounds {
        const known: lanes.F32 = @floatFromInt(sums);
        const expected = low.centre * lanes.splat(estimate.x_sum);
        // What rounding costs, in the sums here and in the logits later.
        const rounding = (@abs(known) + @abs(expected)) * lanes.splat(0x1p-20);
        const error_max = low.spread * lanes.splat(estimate.reach) + rounding;
        const scale = lanes.splat(estimate.inverse) * (lanes.splat(1) / low.weight_a);
        const middle = known + expected;
        return .{
            .lower = (middle - error_max) * scale,
            .upper = (middle + error_max) * scale,
        };
    }
};

/// Sixteen rows' low plane in few words, and their scale.
pub const LowPlane = struct {
    centre: lanes.F32,
    spread: lanes.F32,
    weight_a: lanes.F32,

    pub inline fn load(views: [3]*const View, row: usize, count: usize) LowPlane {
        return .{
            .centre = lanes.loadUpTo(f32, views[0].ptr(f32) + row, count),
            .spread = lanes.loadUpTo(f32, views[1].ptr(f32) + row, count),
            .weight_a = lanes.loadUpTo(f32, views[2].ptr(f32) + row, count),
        };
    }
};

/// Sixteen sums, or as many as are `left` with zeros behind them.
pub inline fn loadSums(sums: []const i32, row: usize) lanes.I32 {
    if (row + unit_rows <= sums.len) return sums[row..][0..unit_rows].*;
    var padded: [unit_rows]i32 = @splat(0);
    @memcpy(padded[0 .. sums.len - row], sums[row..]);
    return padded;
}

/// The lanes of a unit that are rows of the matrix.
pub inline fn rowsMask(row: usize, rows: usize) u16 {
    const count = @min(unit_rows, rows - row);
    return @truncate((@as(u32, 1) << @intCast(count)) - 1);
}
