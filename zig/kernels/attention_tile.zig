//! Attention of a few queries over one page of keys and values, by online softmax: with s = scale *
//! q . k over the page, m' = max(m, max s) and p = e^(s - m'),
//! total' = total * e^(m - m') + sum p; sum' = sum * e^(m - m') + p . v.
//!
//! Lanes are positions in the scores and columns in the sums; both add one term after the other,
//! so a query's result is the same whichever queries share its tile. Masked positions add nothing,
//! not even zeros: what a page holds behind a query's position is never read as a value.
//!
//! A page is read once and in order, and each half of it brings the next half into the cache.

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
/// Whether a page that several tiles read is converted once for all of them: where tiles are large,
/// conversions hold up their products more than reading twice the bytes does.
pub const widens = lanes.registers == 32;
const page_vectors = page_positions / lanes.width;
const lane_index = std.simd.iota(u32, lanes.width);

/// What one query vector has gathered of the pages so far.
pub const Query = struct {
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
    return struct {
        keys: [*]const T,
        values: [*]const T,
        hd: usize,
        first_position: usize,
        /// Keys that are read after this page.
        next_keys: [*]const T,
    };
}

/// The page in f32, in `memory` for twice (64, hd). The next keys are no longer fetched ahead.
pub fn widen(comptime T: type, page: Page(T), memory: [*]f32) Page(f32) {
    const count = page.hd * page_positions;
    const result: Page(f32) = .{
        .keys = memory,
        .values = memory + count,
        .hd = page.hd,
        .first_position = page.first_position,
        .next_keys = memory,
    };
    var i: usize = 0;
    while (i < count) : (i += lanes.width) {
        lanes.store(f32, memory + i, lanes.load(T, page.keys + i));
        lanes.store(f32, memory + count + i, lanes.load(T, page.values + i));
    }
    return result;
}

/// Takes a page into up to `query_count_max` queries, whose vectors are `x` (hd, queries).
pub fn step(
    comptime T: type,
    queries: []Query,
    x: [*]const f32,
    page: Page(T),
    scale: f32,
) void {
    switch (queries.len) {
        inline 1...query_count_max => |count| {
            stepTile(T, count, queries[0..count], x, page, scale);
        },
        else => unreachable,
    }
}

fn stepTile(
    comptime T: type,
    comptime count: usize,
    queries: *[count]Query,
    x: [*]const f32,
    page: Page(T),
    scale: f32,
) void {
    var weights: [count][page_positions]f32 align(64) = undefined;
    var rescale: [count]f32 = undefined;
    var visible: [count]usize = undefined;
    score(T, count, x, page, &weights);
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
    x: [*]const f32,
    page: Page(T),
    weights: *[count][page_positions]f32,
) void {
    comptime var first = 0;
    inline while (first < page_vectors) : (first += vector_count) {
        const column = first * lanes.width;
        const factors: Factors(vector_count) = .of(x);
        var sums: [count][vector_count]lanes.F32 = @splat(@splat(lanes.zero));
        for (0..page.hd) |i| {
            const offset = i * page_positions + column;
            prefetch(T, vector_count, page.values + offset);
            addRow(T, &sums, page.keys + offset, lanes.width, factors.step(i * count, 1));
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
    const fall = query.largest - next;
    const rescale = if (fall == 0) 1 else lanes.exp(lanes.splat(fall))[0];
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
    const factors: Factors(vectors) = .of(&weights[0]);
    for (0..common) |j| {
        const offset = j * page.hd + column;
        prefetch(T, vectors, page.next_keys + offset);
        addRow(T, &sums, page.values + offset, left, factors.step(j, page_positions));
    }
    inline for (0..count) |q| {
        for (common..@max(common, visible[q])) |j| {
            const own: *[1][vectors]lanes.F32 = sums[q..][0..1];
            const row = page.values + j * page.hd + column;
            addRow(T, own, row, left, factors.step(q * page_positions + j, 0));
        }
        inline for (0..vectors) |n| {
            lanes.store(f32, queries[q].sum + column + n * lanes.width, sums[q][n]);
        }
    }
}

/// sums[q][n] += factor of q * vector n of a row; a lone vector may be the last, of which not all
/// is there. Where registers are few, a factor is broadcast once for all vectors; where they are
/// many, it comes from memory each time, and what is loaded is converted as late as can be, among
/// the products: both compete for the same units.
inline fn addRow(
    comptime T: type,
    sums: anytype, // *[queries][vectors]
    row: [*]const T,
    left: usize,
    factors: anytype,
) void {
    const count = sums.len;
    const vectors = sums[0].len;
    if (lanes.registers == 32) {
        inline for (0..vectors) |n| {
            const v = valuesAt(T, vectors, row + n * lanes.width, left);
            inline for (0..count) |q| {
                sums[q][n] = lanes.addProduct(sums[q][n], factors.at(n, q), v);
            }
        }
    } else {
        var values: [vectors]lanes.F32 = undefined;
        inline for (&values, 0..) |*v, n| v.* = valuesAt(T, vectors, row + n * lanes.width, left);
        inline for (0..count) |q| inline for (values, 0..) |v, n| {
            sums[q][n] = lanes.addProduct(sums[q][n], factors.at(n, q), v);
        };
    }
}

inline fn valuesAt(
    comptime T: type,
    comptime vectors: usize,
    source: [*]const T,
    left: usize,
) lanes.F32 {
    return if (vectors == 1) lanes.loadUpTo(T, source, left) else lanes.load(T, source);
}

/// Floats that are read to multiply each of `vectors` vectors. AVX-512 broadcasts an operand from
/// memory within the product, at no cost, but compilers broadcast what several products read into
/// a register, which costs the units that multiply: so each vector has a pointer of its own.
fn Factors(comptime vectors: usize) type {
    return struct {
        pointers: [vectors][*]const f32,

        const Self = @This();

        inline fn of(pointer: [*]const f32) Self {
            var factors: Self = .{ .pointers = @splat(pointer) };
            if (lanes.registers == 32) {
                inline for (factors.pointers[1..]) |*other| other.* = unknown(other.*);
            }
            return factors;
        }

        /// Those of the queries at one step: from `index` on, `stride` apart.
        inline fn step(factors: *const Self, index: usize, comptime stride: usize) Step(stride) {
            return .{ .pointers = factors.pointers, .index = index };
        }

        fn Step(comptime stride: usize) type {
            return struct {
                pointers: [vectors][*]const f32,
                index: usize,

                inline fn at(factors: *const @This(), vector: usize, query: usize) lanes.F32 {
                    return lanes.splat(factors.pointers[vector][factors.index + query * stride]);
                }
            };
        }
    };
}

/// A pointer of which the compiler knows nothing.
inline fn unknown(pointer: [*]const f32) [*]const f32 {
    return asm (""
        : [out] "=r" (-> [*]const f32),
        : [in] "0" (pointer),
    );
}

/// Fetches the vectors that are read half a page later.
inline fn prefetch(comptime T: type, comptime vectors: usize, from: [*]const T) void {
    const elements_per_line = 64 / @sizeOf(T);
    comptime var line = 0;
    inline while (line * elements_per_line < vectors * lanes.width) : (line += 1) {
        @prefetch(from + line * elements_per_line, .{ .locality = 2 });
    }
}
