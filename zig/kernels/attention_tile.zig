//! Attention of a few queries over one page of keys and values, by online softmax: with s = scale *
//! q . k over the page, m' = max(m, max s) and p = e^(s - m'),
//! total' = total * e^(m - m') + sum p; sum' = sum * e^(m - m') + p . v.
//!
//! Lanes are positions in the scores and columns in the sums; both add one term after the other,
//! so a query's result is the same whichever queries share its tile. Masked positions add nothing,
//! not even zeros: what a page holds behind a query's position is never read as a value.

const std = @import("std");
const lanes = @import("lanes.zig");

pub const page_positions = 64;

/// Queries and vectors of a tile: their products fill the registers.
pub const query_count_max = switch (lanes.registers) {
    32 => 4,
    8 => 2,
    else => 1,
};
const vector_count = switch (lanes.registers) {
    32 => 4,
    else => 2,
};
const page_vectors = page_positions / lanes.width;
const lane_index = std.simd.iota(u32, lanes.width);

/// One query vector and what it has gathered of the pages so far.
pub const Query = struct {
    x: [*]const f32, // (hd)
    /// (hd, padded to whole vectors), 0 at first.
    sum: [*]f32,
    largest: f32 = -std.math.inf(f32),
    total: f32 = 0,
    /// The last position it sees.
    position: usize,

    fn visibleCount(query: *const Query, first_position: usize) usize {
        if (query.position < first_position) return 0;
        return @min(page_positions, query.position - first_position + 1);
    }
};

/// One page of a group: keys (hd, 64), values (64, hd), both dense.
pub fn Page(comptime T: type) type {
    return struct { keys: [*]const T, values: [*]const T, hd: usize, first_position: usize };
}

/// Takes a page into up to `query_count_max` queries.
pub fn step(comptime T: type, queries: []Query, page: Page(T), scale: f32) void {
    switch (queries.len) {
        inline 1...query_count_max => |count| stepTile(T, count, queries[0..count], page, scale),
        else => unreachable,
    }
}

fn stepTile(
    comptime T: type,
    comptime count: usize,
    queries: *[count]Query,
    page: Page(T),
    scale: f32,
) void {
    var weights: [count][page_positions]f32 align(64) = undefined;
    var rescale: [count]f32 = undefined;
    var visible: [count]usize = undefined;
    score(T, count, queries, page, &weights);
    var common: usize = page_positions;
    inline for (queries, 0..) |*query, i| {
        visible[i] = query.visibleCount(page.first_position);
        common = @min(common, visible[i]);
        rescale[i] = weigh(query, &weights[i], visible[i], scale);
    }
    var column: usize = 0;
    const block = vector_count * lanes.width;
    while (column + block <= page.hd) : (column += block) {
        gather(T, count, vector_count, queries, page, &weights, &rescale, &visible, common, column);
    }
    while (column < page.hd) : (column += lanes.width) {
        gather(T, count, 1, queries, page, &weights, &rescale, &visible, common, column);
    }
}

/// weights[i][j] = q[i] . k[j], not yet scaled.
fn score(
    comptime T: type,
    comptime count: usize,
    queries: *const [count]Query,
    page: Page(T),
    weights: *[count][page_positions]f32,
) void {
    comptime var first = 0;
    inline while (first < page_vectors) : (first += vector_count) {
        const column = first * lanes.width;
        var sums: [count][vector_count]lanes.F32 = @splat(@splat(lanes.zero));
        for (0..page.hd) |i| {
            var keys: [vector_count]lanes.F32 = undefined;
            const row = page.keys + i * page_positions + column;
            inline for (&keys, 0..) |*key, n| key.* = lanes.load(T, row + n * lanes.width);
            inline for (0..count) |q| {
                const x = lanes.splat(queries[q].x[i]);
                inline for (keys, 0..) |key, n| sums[q][n] = lanes.addProduct(sums[q][n], x, key);
            }
        }
        inline for (0..count) |q| inline for (0..vector_count) |n| {
            lanes.store(f32, weights[q][column + n * lanes.width ..].ptr, sums[q][n]);
        };
    }
}

/// Turns scores into weights and returns the factor of what was gathered before.
fn weigh(query: *Query, weights: *[page_positions]f32, visible: usize, scale: f32) f32 {
    const hidden = lanes.splat(-std.math.inf(f32));
    var scores: [page_vectors]lanes.F32 = undefined;
    var largest = hidden;
    inline for (&scores, 0..) |*s, n| {
        const left: lanes.U32 = @splat(@intCast(visible -| n * lanes.width));
        const scaled = lanes.load(f32, weights[n * lanes.width ..].ptr) * lanes.splat(scale);
        s.* = @select(f32, lane_index < left, scaled, hidden);
        largest = lanes.max(s.*, largest);
    }
    const seen = lanes.foldMax(largest);
    const next = if (seen > query.largest) seen else query.largest;
    const rescale = lanes.exp(lanes.splat(query.largest - next))[0];
    var total = lanes.zero;
    inline for (scores, 0..) |s, n| {
        const weight = lanes.exp(s - lanes.splat(next));
        lanes.store(f32, weights[n * lanes.width ..].ptr, weight);
        total += weight;
    }
    query.largest = next;
    query.total = query.total * rescale + lanes.fold(total);
    return rescale;
}

/// Adds the weighted values of `vectors` vectors of columns to the sums of the queries.
fn gather(
    comptime T: type,
    comptime count: usize,
    comptime vectors: usize,
    queries: *[count]Query,
    page: Page(T),
    weights: *const [count][page_positions]f32,
    rescale: *const [count]f32,
    visible: *const [count]usize,
    common: usize,
    column: usize,
) void {
    var sums: [count][vectors]lanes.F32 = undefined;
    inline for (0..count) |q| inline for (0..vectors) |n| {
        const before = lanes.load(f32, queries[q].sum + column + n * lanes.width);
        sums[q][n] = before * lanes.splat(rescale[q]);
    };
    const left = page.hd - column;
    for (0..common) |j| {
        const row = valuesAt(T, vectors, page.values + j * page.hd + column, left);
        inline for (0..count) |q| {
            const weight = lanes.splat(weights[q][j]);
            inline for (row, 0..) |v, n| sums[q][n] = lanes.addProduct(sums[q][n], weight, v);
        }
    }
    inline for (0..count) |q| {
        for (common..@max(common, visible[q])) |j| {
            const row = valuesAt(T, vectors, page.values + j * page.hd + column, left);
            const weight = lanes.splat(weights[q][j]);
            inline for (row, 0..) |v, n| sums[q][n] = lanes.addProduct(sums[q][n], weight, v);
        }
        inline for (0..vectors) |n| {
            lanes.store(f32, queries[q].sum + column + n * lanes.width, sums[q][n]);
        }
    }
}

inline fn valuesAt(
    comptime T: type,
    comptime vectors: usize,
    source: [*]const T,
    left: usize,
) [vectors]lanes.F32 {
    var row: [vectors]lanes.F32 = undefined;
    if (vectors == 1) return .{lanes.loadUpTo(T, source, left)};
    inline for (&row, 0..) |*v, n| v.* = lanes.load(T, source + n * lanes.width);
    return row;
}
