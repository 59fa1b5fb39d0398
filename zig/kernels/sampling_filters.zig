//! Filters over the weights of one row: w[i] = e^(z[i] - max z), the largest 1, 0 once removed.
//!
//! Nothing is sorted. A filter keeps what lies on one side of a threshold, and the threshold is
//! found by bisection over f32 bit patterns (non-negative floats order as their bits do), each
//! probe one pass in 16 lanes with f64 sums: the result is the one a sort would give, at a tenth
//! of the time over 128,256 entries. The meaning is that of the logits processors of transformers.

const std = @import("std");
const lanes = @import("lanes.zig");

const F32 = lanes.F32;
const F64 = @Vector(lanes.width, f64);
const U32 = lanes.U32;

/// The `k`-th largest of `z`, or a value with exactly `k` entries at or above it.
pub fn largestCut(z: []const f32, k: usize) f32 {
    std.debug.assert(k >= 1 and k <= z.len);
    var low: i64 = orderOf(-std.math.inf(f32)); // at least k entries lie at or above it
    var high: i64 = @as(i64, orderOf(std.math.inf(f32))) + 1; // fewer do
    while (high - low > 1) {
        const middle = @divFloor(low + high, 2);
        const cut = ofOrder(@intCast(middle));
        const count = countAtLeast(z, cut);
        if (count == k) return cut;
        if (count > k) low = middle else high = middle;
    }
    return ofOrder(@intCast(low));
}

/// Keeps the largest weights that make up `p` of the sum, at least one: in ascending order those
/// go whose cumulative share is at most 1 - p. Of equal weights the last ones go first.
pub fn keepTopP(w: []f32, p: f32, scratch: []f32) void {
    const budget = (1 - @as(f64, p)) * mass(w);
    // Whatever lies below the budget's mean goes for certain: all of it together fits the budget.
    const certain: f32 = @floatCast(budget / @as(f64, @floatFromInt(w.len)));
    const gathered = gatherAtLeast(w, certain, scratch);
    const candidates = gathered orelse w;
    const rest = if (gathered == null) 0 else massBelow(w, certain);

    var low: u32 = @bitCast(certain); // all below it go
    var high: u32 = @as(u32, @bitCast(@as(f32, 1))) + 1;
    while (high - low > 1) {
        const middle = low + (high - low) / 2;
        const removed = rest + massBelow(candidates, @bitCast(middle));
        if (removed <= budget) low = middle else high = middle;
    }
    const cut: f32 = @bitCast(low);
    const room = (budget - rest - massBelow(candidates, cut)) / cut;
    const ties = countAtLeast(candidates, cut) -
        countAtLeast(candidates, @bitCast(low + 1));
    removeBelow(w, cut);
    if (room >= 1 and ties > 1) removeLast(w, cut, @min(floorOf(room), ties - 1));
}

/// Keeps the weights of at least `min_p` times the largest.
pub fn keepMinP(w: []f32, min_p: f32) void {
    removeBelow(w, min_p);
}

/// Keeps the weights whose information -ln p lies nearest to its mean, the entropy, until they
/// make up `p` of the sum. With p = w / sum(w) that distance is |ln w - mean of ln w|: what lies
/// within a radius of the mean are the weights between two bounds.
pub fn keepTypical(w: []f32, p: f32, scratch: []f32) void {
    const smallest = std.math.floatMin(f32);
    const candidates = gatherAtLeast(w, smallest, scratch) orelse w;
    const total = mass(candidates);
    const mean: f32 = @floatCast(massTimesLn(candidates) / total);
    const wanted = @as(f64, p) * total;

    var low: i64 = -1; // too little lies within this radius
    var high: i64 = @as(u32, @bitCast(@as(f32, 256))); // every ln w lies within
    while (high - low > 1) {
        const middle = @divFloor(low + high, 2);
        const enough = massWithin(candidates, boundsOf(mean, middle)) >= wanted;
        if (enough) high = middle else low = middle;
    }
    keepWithin(w, boundsOf(mean, high));
}

const Bounds = struct { least: f32, most: f32 };

fn boundsOf(mean: f32, radius_bits: i64) Bounds {
    const radius: f32 = @bitCast(@as(u32, @intCast(radius_bits)));
    const ends: F32 = .{ mean - radius, mean + radius } ++ .{0} ** (lanes.width - 2);
    const bounds = lanes.exp(ends);
    return .{ .least = bounds[0], .most = bounds[1] };
}

/// The sum of all weights.
pub fn mass(w: []const f32) f64 {
    return massBelow(w, std.math.inf(f32));
}

fn massBelow(w: []const f32, cut: f32) f64 {
    var sums: F64 = @splat(0);
    var at: usize = 0;
    while (at < w.len) : (at += lanes.width) {
        const v = loadAt(w, at);
        sums += @as(F64, @select(f32, v < lanes.splat(cut), v, lanes.zero));
    }
    return foldWide(sums);
}

fn massWithin(w: []const f32, bounds: Bounds) f64 {
    var sums: F64 = @splat(0);
    var at: usize = 0;
    while (at < w.len) : (at += lanes.width) {
        sums += @as(F64, within(loadAt(w, at), bounds));
    }
    return foldWide(sums);
}

inline fn within(v: F32, bounds: Bounds) F32 {
    const inside = (v >= lanes.splat(bounds.least)) & (v <= lanes.splat(bounds.most));
    return @select(f32, inside, v, lanes.zero);
}

/// Sum of w * ln w; a removed weight counts as 0.
fn massTimesLn(w: []const f32) f64 {
    var sums: F64 = @splat(0);
    var at: usize = 0;
    while (at < w.len) : (at += lanes.width) {
        const v = loadAt(w, at);
        sums += @as(F64, v) * @as(F64, ln(v));
    }
    return foldWide(sums);
}

fn countAtLeast(z: []const f32, cut: f32) usize {
    var counts: U32 = @splat(0);
    const one: U32 = @splat(1);
    var at: usize = 0;
    while (at + lanes.width <= z.len) : (at += lanes.width) {
        const v = lanes.load(f32, z[at..].ptr);
        counts += @select(u32, v >= lanes.splat(cut), one, @as(U32, @splat(0)));
    }
    var count: usize = @reduce(.Add, counts);
    for (z[at..]) |v| count += @intFromBool(v >= cut);
    return count;
}

/// The entries of at least `cut`, in order, in `scratch`; null when it has not the room.
fn gatherAtLeast(w: []const f32, cut: f32, scratch: []f32) ?[]const f32 {
    var count: usize = 0;
    var at: usize = 0;
    while (at < w.len) : (at += lanes.width) {
        const end = @min(at + lanes.width, w.len);
        if (!@reduce(.Or, loadAt(w, at) >= lanes.splat(cut))) continue;
        if (count + lanes.width > scratch.len) return null;
        for (w[at..end]) |v| {
            scratch[count] = v;
            count += @intFromBool(v >= cut);
        }
    }
    return scratch[0..count];
}

fn removeBelow(w: []f32, cut: f32) void {
    var at: usize = 0;
    while (at < w.len) : (at += lanes.width) {
        const v = loadAt(w, at);
        storeAt(w, at, @select(f32, v < lanes.splat(cut), lanes.zero, v));
    }
}

fn keepWithin(w: []f32, bounds: Bounds) void {
    var at: usize = 0;
    while (at < w.len) : (at += lanes.width) {
        storeAt(w, at, within(loadAt(w, at), bounds));
    }
}

/// Removes the last `count` of the weights equal to `value`.
fn removeLast(w: []f32, value: f32, count: usize) void {
    var left = count;
    var i = w.len;
    while (left > 0 and i > 0) {
        i -= 1;
        if (w[i] != value) continue;
        w[i] = 0;
        left -= 1;
    }
}

/// Sixteen entries from `at`, zeros behind the end.
inline fn loadAt(w: []const f32, at: usize) F32 {
    const count = w.len - at;
    if (count >= lanes.width) return lanes.load(f32, w[at..].ptr);
    return lanes.loadTail(f32, w[at..].ptr, count);
}

inline fn storeAt(w: []f32, at: usize, v: F32) void {
    const count = w.len - at;
    if (count >= lanes.width) return lanes.store(f32, w[at..].ptr, v);
    lanes.storeTail(f32, w[at..].ptr, v, count);
}

fn foldWide(sums: F64) f64 {
    var sum: f64 = 0;
    for (@as([lanes.width]f64, sums)) |lane| sum += lane;
    return sum;
}

/// Integers that order as the floats do, both zeros apart by one.
fn orderOf(x: f32) i32 {
    const bits: i32 = @bitCast(x);
    return bits ^ ((bits >> 31) & 0x7fff_ffff);
}

fn ofOrder(order: i32) f32 {
    return @bitCast(order ^ ((order >> 31) & 0x7fff_ffff));
}

fn floorOf(x: f64) usize {
    return @intFromFloat(@min(x, 0x1p32));
}

/// The natural logarithm of normal positive numbers within 3 units in the last place: x = 2^n * m
/// with m in [sqrt(1/2), sqrt(2)), ln m = 2 artanh((m - 1) / (m + 1)). Finite, but no more, at 0.
inline fn ln(x: F32) F32 {
    const root_half: U32 = @splat(@as(u32, @bitCast(@as(f32, std.math.sqrt1_2))));
    const bits: U32 = @bitCast(x);
    const n = @as(lanes.I32, @bitCast(bits -% root_half)) >> @splat(23);
    const m: F32 = @bitCast(bits -% @as(U32, @bitCast(n << @splat(23))));
    const s = (m - lanes.splat(1)) / (m + lanes.splat(1));
    const square = s * s;
    var series = lanes.splat(2.0 / 9.0);
    inline for (.{ 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0 }) |term| {
        series = series * square + lanes.splat(term);
    }
    return @as(F32, @floatFromInt(n)) * lanes.splat(std.math.ln2) + s * series;
}

test "ln: near the f64 logarithm over the whole range of weights" {
    var x: f32 = 1.2e-38;
    while (x < 3) : (x *= 1.00093) {
        const want = @log(@as(f64, x));
        const got: f64 = ln(lanes.splat(x))[2];
        try std.testing.expectApproxEqAbs(want, got, 3e-7 * @max(@abs(want), 1));
    }
    try std.testing.expectEqual(0, ln(lanes.splat(1))[0]);
    try std.testing.expect(std.math.isFinite(ln(lanes.zero)[0]));
}

test "largestCut: leaves k entries, more with ties, whatever the signs" {
    const infinity = std.math.inf(f32);
    const z = [_]f32{ -1, 3, 0, -infinity, 3, 2, -7, 1e30, 2, -0.0, 5e-40, -2e-40 };
    const kept = [_]usize{ 1, 3, 3, 5, 5, 6, 8, 8, 9, 10, 11, 12 };
    for (kept, 1..) |want, k| {
        try std.testing.expectEqual(want, countAtLeast(&z, largestCut(&z, k)));
    }
}

test "keepTopP: of equal weights the first stay, and one stays always" {
    var scratch: [64]f32 = undefined;
    var w = [_]f32{ 0.5, 1, 0.5, 0.5, 0.5, 1 } ++ @as([14]f32, @splat(0));
    keepTopP(&w, 0.7, &scratch); // 1.2 of 4 may go: two halves
    try std.testing.expectEqualSlices(f32, &.{ 0.5, 1, 0.5, 0, 0, 1 }, w[0..6]);
    keepTopP(&w, 1e-30, &scratch);
    try std.testing.expectEqualSlices(f32, &.{ 0, 1, 0, 0, 0, 0 }, w[0..6]);
}

test "keepTopP, keepTypical: the same without room to gather" {
    const random = @import("testing.zig");
    var scratch: [512]f32 = undefined;
    inline for (.{ keepTopP, keepTypical }) |keep| {
        var with_room: [300]f32 = undefined;
        random.fillNormal(f32, &with_room, 5, 0.2);
        for (&with_room) |*w| w.* = @min(@abs(w.*), 1);
        with_room[77] = 1;
        var without_room = with_room;
        keep(&with_room, 0.8, &scratch);
        keep(&without_room, 0.8, scratch[0..16]);
        try std.testing.expectEqual(with_room, without_room);
    }
}
