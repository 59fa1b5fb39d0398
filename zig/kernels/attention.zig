//! Causal attention over the paged cache: y[r, h] = sum_j softmax_j(scale * q[r, h] . k[j]) v[j]
//! over the positions j <= pos[r] of the row's own sequence; head h reads group h / (H / G).
//!
//! q, y: f32 (R, H, hd), adjacent within a head; k_pages: (P, G, hd, 64), v_pages: (P, G, 64, hd),
//! both f32 or both f16, dense within a group; pos, seq: i32 (R); pages: i32 (S, PM). Pages merge
//! in order (attention_tile.zig), so results depend neither on the split nor on the batch. Units
//! of work: heads of tiles of rows; those of one group that a worker has share what they read.

const std = @import("std");
const kv_write = @import("kv_write.zig");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");
const tile = @import("attention_tile.zig");

const Task = task_types.Task;
const Query = tile.Query;

pub const Attrs = extern struct { scale: f32 };

/// Queries that go over the pages together.
const query_total_max = 64;
const queries_size = std.mem.alignForward(usize, query_total_max * @sizeOf(Query), 64);

comptime {
    std.debug.assert(tile.page_positions == kv_write.page_positions);
}

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.in(1).dtype) {
        .f32 => attend(f32, task),
        .f16 => attend(f16, task),
        else => unreachable,
    }
}

/// How rows and heads are cut into tiles. Results do not depend on it.
const Plan = struct {
    row_count: usize,
    rows_per_tile: usize,
    row_tiles: usize,
    heads_per_group: usize,
    heads_per_part: usize,
    group_count: usize,

    fn init(task: *const Task) Plan {
        const q = task.in(0);
        const group_count: usize = task.in(1).dims[1];
        const heads_per_group = q.dims[1] / group_count;
        const query_total = @min(query_total_max, Scratch.room(task));
        const rows_per_tile = @max(1, query_total / heads_per_group);
        return .{
            .row_count = q.dims[0],
            .rows_per_tile = rows_per_tile,
            .row_tiles = (q.dims[0] + rows_per_tile - 1) / rows_per_tile,
            .heads_per_group = heads_per_group,
            .heads_per_part = @min(heads_per_group, query_total),
            .group_count = group_count,
        };
    }

    /// Heads of a group, of its tiles, of all groups.
    fn unitCount(plan: *const Plan) usize {
        return plan.group_count * plan.row_tiles * plan.heads_per_group;
    }

    /// The units of `[start, end)` at one end of it that are heads of one tile.
    fn range(plan: *const Plan, first: usize, end: usize, from_end: bool) [2]usize {
        if (from_end) {
            const tile_start = (end - 1) / plan.heads_per_group * plan.heads_per_group;
            return .{ @max(first, tile_start, end -| plan.heads_per_part), end };
        }
        const tile_end = (first / plan.heads_per_group + 1) * plan.heads_per_group;
        return .{ first, @min(end, tile_end, first + plan.heads_per_part) };
    }

    fn part(plan: *const Plan, first: usize, end: usize) Part {
        const tile_index = first / plan.heads_per_group;
        const group = tile_index / plan.row_tiles;
        // Late tiles see more positions, so tiles alternate from both ends.
        const turn = tile_index % plan.row_tiles;
        const row_tile = if (turn % 2 == 0) turn / 2 else plan.row_tiles - 1 - turn / 2;
        const row = row_tile * plan.rows_per_tile;
        const head = group * plan.heads_per_group + first % plan.heads_per_group;
        return .{
            .row_first = row,
            .row_end = @min(row + plan.rows_per_tile, plan.row_count),
            .head_first = head,
            .head_end = head + (end - first),
            .group = group,
        };
    }
};

/// Rows of one sequence and heads of one group.
const Part = struct {
    row_first: usize,
    row_end: usize,
    head_first: usize,
    head_end: usize,
    group: usize,
};

/// Every second worker goes through its share backwards: neighbours that share a group are at it
/// at the same time, so that it comes from memory once.
fn attend(comptime T: type, task: *const Task) void {
    if (task.in(0).elementCount() == 0) return;
    const plan = Plan.init(task);
    const share = task.share(plan.unitCount());
    var start_unit = share.start;
    var end_unit = share.end;
    const backwards = task.worker % 2 == 1;
    while (start_unit < end_unit) {
        const first, const end = plan.range(start_unit, end_unit, backwards);
        attendTile(T, task, plan.part(first, end));
        if (backwards) end_unit = first else start_unit = end;
    }
}

fn attendTile(comptime T: type, task: *const Task, tile_part: Part) void {
    var part = tile_part;
    while (part.row_first < tile_part.row_end) : (part.row_first = part.row_end) {
        part.row_end = endOfSequence(task, part.row_first, tile_part.row_end);
        attendPart(T, task, part);
    }
}

fn endOfSequence(task: *const Task, first: usize, end: usize) usize {
    const sequence = strided.item(i32, task.in(4), first);
    for (first + 1..end) |row| {
        if (strided.item(i32, task.in(4), row) != sequence) return row;
    }
    return end;
}

fn attendPart(comptime T: type, task: *const Task, part: Part) void {
    const scratch: Scratch = .of(task);
    const queries = start(task, part, scratch) orelse return;
    const sequence = strided.item(i32, task.in(4), part.row_first);
    const pages = kv_write.pagesOf(task, task.in(5), sequence) orelse return;
    var last: usize = 0;
    for (queries) |query| last = @max(last, query.position);
    var first_position: usize = 0;
    var page = pageOf(T, task, part, pages, 0) orelse return;
    while (true) {
        const next_position = first_position + tile.page_positions;
        var next = page;
        if (next_position <= last) {
            next = pageOf(T, task, part, pages, next_position) orelse return;
        }
        page.next_keys = next.keys;
        takePage(T, task, queries, scratch, page);
        if (next_position > last) break;
        first_position = next_position;
        page = next;
    }
    finish(task, part, queries);
}

fn pageOf(
    comptime T: type,
    task: *const Task,
    part: Part,
    pages: []const i32,
    first_position: usize,
) ?tile.Page(T) {
    const page_count = @min(task.in(1).dims[0], task.in(2).dims[0]);
    const page = kv_write.pageAt(task, pages, @intCast(first_position), page_count) orelse {
        return null;
    };
    const keys = strided.at(T, task.in(1), page, part.group);
    return .{
        .keys = keys,
        .values = strided.at(T, task.in(2), page, part.group),
        .hd = task.in(0).dims[2],
        .first_position = first_position,
        .next_keys = keys,
    };
}

fn takePage(
    comptime T: type,
    task: *const Task,
    queries: []Query,
    scratch: Scratch,
    page: tile.Page(T),
) void {
    if (T != f32 and tile.widens and queries.len > tile.query_count_max) {
        return takePage(f32, task, queries, scratch, tile.widen(T, page, scratch.page));
    }
    const scale = task.attr(Attrs).scale;
    var i: usize = 0;
    while (i < queries.len) : (i += tile.query_count_max) {
        const some = queries[i..@min(i + tile.query_count_max, queries.len)];
        if (!anySees(some, page.first_position)) continue;
        tile.step(T, some, scratch.x + i * page.hd, page, scale);
    }
}

fn anySees(queries: []const Query, position: usize) bool {
    for (queries) |query| if (query.position >= position) return true;
    return false;
}

/// A worker's memory: queries, their sums (each padded to whole vectors) and their vectors, those
/// of one tile interleaved (hd, queries); and a page in f32.
const Scratch = struct {
    queries: [*]Query,
    sums: [*]f32,
    x: [*]f32,
    page: [*]f32,

    fn of(task: *const Task) Scratch {
        const count = @min(query_total_max, room(task));
        const sums: [*]f32 = @ptrCast(@alignCast(task.scratch + queries_size));
        const x = sums + count * paddedColumns(task.in(0).dims[2]);
        const page = x + count * paddedColumns(task.in(0).dims[2]);
        return .{
            .queries = @ptrCast(@alignCast(task.scratch)),
            .sums = sums,
            .x = x,
            .page = page,
        };
    }

    /// Queries there is memory for.
    fn room(task: *const Task) usize {
        const size = 2 * paddedColumns(task.in(0).dims[2]) * @sizeOf(f32);
        const page_size = 2 * tile.page_positions * task.in(0).dims[2] * @sizeOf(f32);
        return (task.scratch_size - queries_size - page_size) / size;
    }
};

/// The queries of a part, rows outermost.
fn start(task: *const Task, part: Part, scratch: Scratch) ?[]Query {
    const padded = paddedColumns(task.in(0).dims[2]);
    const head_count = part.head_end - part.head_first;
    const queries = scratch.queries[0 .. (part.row_end - part.row_first) * head_count];
    for (queries, 0..) |*query, n| {
        const row = part.row_first + n / head_count;
        const position = strided.item(i32, task.in(3), row);
        if (position < 0) {
            task.fail(.position_out_of_range, position);
            return null;
        }
        query.* = .{ .sum = scratch.sums + n * padded, .position = @intCast(position) };
        @memset(query.sum[0..padded], 0);
        const vector = strided.at(f32, task.in(0), row, part.head_first + n % head_count);
        interleave(vector[0..task.in(0).dims[2]], scratch.x, n, queries.len);
    }
    return queries;
}

/// Puts a query's vector among those of its tile.
fn interleave(vector: []const f32, x: [*]f32, index: usize, query_count: usize) void {
    const lane = index % tile.query_count_max;
    const first = index - lane;
    const count = @min(tile.query_count_max, query_count - first);
    const target = x + first * vector.len + lane;
    for (vector, 0..) |element, i| target[i * count] = element;
}

fn finish(task: *const Task, part: Part, queries: []const Query) void {
    const hd: usize = task.in(0).dims[2];
    const head_count = part.head_end - part.head_first;
    for (queries, 0..) |query, n| {
        const row = part.row_first + n / head_count;
        const y = strided.at(f32, task.out(0), row, part.head_first + n % head_count);
        var i: usize = 0;
        while (i < hd) : (i += lanes.width) {
            const mean = lanes.load(f32, query.sum + i) / lanes.splat(query.total);
            lanes.storeUpTo(f32, y + i, mean, hd - i);
        }
    }
}

fn paddedColumns(hd: usize) usize {
    return std.mem.alignForward(usize, hd, lanes.width);
}

const testing = @import("testing.zig");
const View = task_types.View;

const Shape = struct { rows: u32, heads: u32, groups: u32, hd: u32 };

/// Two sequences in shuffled pages whose unseen positions are not numbers.
fn Case(comptime T: type) type {
    return struct {
        shape: Shape,
        x: []f32,
        y: []f32,
        k_pages: []T,
        v_pages: []T,
        positions: []i32,
        sequences: []i32,
        pages: [2 * table_size]i32,

        const Self = @This();
        const table_size = 4;
        const page_total = 2 * table_size;
        const gpa = std.testing.allocator;

        /// Rows of sequence 0 end at position 130, those of sequence 1 at `position`.
        fn init(shape: Shape, position: i32) !Self {
            const page_size = shape.groups * shape.hd * tile.page_positions;
            const case: Self = .{
                .shape = shape,
                .x = try gpa.alloc(f32, shape.rows * shape.heads * shape.hd),
                .y = try gpa.alloc(f32, shape.rows * shape.heads * shape.hd),
                .k_pages = try gpa.alloc(T, page_total * page_size),
                .v_pages = try gpa.alloc(T, page_total * page_size),
                .positions = try gpa.alloc(i32, shape.rows),
                .sequences = try gpa.alloc(i32, shape.rows),
                .pages = .{ 6, 1, 4, 3, 5, 2, 7, 0 },
            };
            testing.fillNormal(f32, case.x, 1, 1);
            @memset(case.k_pages, std.math.nan(T));
            @memset(case.v_pages, std.math.nan(T));
            const half = shape.rows / 2;
            for (case.positions, case.sequences, 0..) |*at, *sequence, r| {
                const row: i32 = @intCast(r);
                sequence.* = if (r < half) 0 else 1;
                const count: i32 = @intCast(if (r < half) half else shape.rows);
                at.* = (if (r < half) 130 else position) - (count - 1 - row);
            }
            case.fillSequence(0, 130);
            case.fillSequence(1, position);
            return case;
        }

        fn deinit(case: *Self) void {
            inline for (.{ "x", "y", "k_pages", "v_pages", "positions", "sequences" }) |name| {
                gpa.free(@field(case, name));
            }
        }

        fn key(case: *const Self, sequence: usize, at: usize, group: usize, i: usize) *T {
            const head = case.headAt(sequence, at, group);
            return &case.k_pages[head + i * tile.page_positions + at % tile.page_positions];
        }

        fn value(case: *const Self, sequence: usize, at: usize, group: usize, i: usize) *T {
            const head = case.headAt(sequence, at, group);
            return &case.v_pages[head + at % tile.page_positions * case.shape.hd + i];
        }

        fn headAt(case: *const Self, sequence: usize, at: usize, group: usize) usize {
            const entry = case.pages[sequence * table_size + at / tile.page_positions];
            const page: usize = @intCast(entry);
            const head_size = case.shape.hd * tile.page_positions;
            return (page * case.shape.groups + group) * head_size;
        }

        fn fillSequence(case: *const Self, sequence: usize, last: i32) void {
            var random = std.Random.DefaultPrng.init(sequence);
            for (0..@intCast(last + 1)) |at| for (0..case.shape.groups) |group| {
                for (0..case.shape.hd) |i| {
                    case.key(sequence, at, group, i).* = @floatCast(random.random().floatNorm(f32));
                    case.value(sequence, at, group, i).* =
                        @floatCast(random.random().floatNorm(f32));
                }
            };
        }

        fn inputs(case: *const Self) [6]View {
            const s = case.shape;
            return .{
                testing.dense(f32, case.x, &.{ s.rows, s.heads, s.hd }),
                testing.dense(T, case.k_pages, &.{ page_total, s.groups, s.hd, 64 }),
                testing.dense(T, case.v_pages, &.{ page_total, s.groups, 64, s.hd }),
                testing.dense(i32, case.positions, &.{s.rows}),
                testing.dense(i32, case.sequences, &.{s.rows}),
                testing.dense(i32, &case.pages, &.{ 2, table_size }),
            };
        }

        fn outputs(case: *const Self) [1]View {
            const s = case.shape;
            return .{testing.dense(f32, case.y, &.{ s.rows, s.heads, s.hd })};
        }

        /// The definition, in f64, for one row and head.
        fn expectHead(case: *const Self, row: usize, head: usize, scale: f64) !void {
            const s = case.shape;
            const group = head / (s.heads / s.groups);
            const sequence: usize = @intCast(case.sequences[row]);
            const count: usize = @intCast(case.positions[row] + 1);
            const start_at = (row * s.heads + head) * s.hd;
            var weights: [table_size * tile.page_positions]f64 = undefined;
            var total: f64 = 0;
            for (weights[0..count], 0..) |*weight, at| {
                var sum: f64 = 0;
                for (case.x[start_at..][0..s.hd], 0..) |x, i| {
                    sum += @as(f64, x) * case.key(sequence, at, group, i).*;
                }
                weight.* = @exp(sum * scale);
                total += weight.*;
            }
            for (case.y[start_at..][0..s.hd], 0..) |got, i| {
                var want: f64 = 0;
                for (weights[0..count], 0..) |weight, at| {
                    want += weight / total * case.value(sequence, at, group, i).*;
                }
                try testing.expectNear(want, got, 3e-6);
            }
        }
    };
}

test "attention: equals f64 to 3e-6 for every shape of heads, however the work is split" {
    inline for (.{ f32, f16 }) |T| for ([_]Shape{
        .{ .rows = 7, .heads = 4, .groups = 1, .hd = 64 },
        .{ .rows = 12, .heads = 3, .groups = 3, .hd = 20 },
        .{ .rows = 4, .heads = 6, .groups = 2, .hd = 8 },
        .{ .rows = 2, .heads = 20, .groups = 5, .hd = 128 },
        .{ .rows = 2, .heads = 70, .groups = 1, .hd = 8 },
    }) |shape| {
        var case = try Case(T).init(shape, 66);
        defer case.deinit();
        const attrs = Attrs{ .scale = 0.1 };
        const bytes = [_][]u8{std.mem.sliceAsBytes(case.y)};
        try testing.runSplit(run, &case.inputs(), &case.outputs(), attrs, &bytes);
        for (0..shape.rows) |row| for (0..shape.heads) |head| try case.expectHead(row, head, 0.1);
    };
}

test "attention: a row alone gives the bits it gives in a batch" {
    for ([_]u32{ 1, 3, 4 }) |heads_per_group| {
        const shape: Shape = .{ .rows = 70, .heads = 2 * heads_per_group, .groups = 2, .hd = 40 };
        var case = try Case(f32).init(shape, 255);
        defer case.deinit();
        const attrs = Attrs{ .scale = 0.3 };
        _ = testing.run(run, &case.inputs(), &case.outputs(), attrs, .{});
        const row_size = shape.heads * shape.hd;
        var y: [8 * 40]f32 = undefined;
        for ([_]usize{ 0, 1, 34, 35, 36, 50, 69 }) |row| {
            var inputs = case.inputs();
            const dims = [_]u32{ 1, shape.heads, shape.hd };
            inputs[0] = testing.dense(f32, case.x[row * row_size ..][0..row_size], &dims);
            inputs[3] = testing.dense(i32, case.positions[row..][0..1], &.{1});
            inputs[4] = testing.dense(i32, case.sequences[row..][0..1], &.{1});
            const output = testing.dense(f32, y[0..row_size], &dims);
            _ = testing.run(run, &inputs, &.{output}, attrs, .{ .worker_count = 5 });
            const want = case.y[row * row_size ..][0..row_size];
            try std.testing.expectEqualSlices(f32, want, y[0..row_size]);
        }
    }
}

test "attention: refuses positions, sequences and pages that are not there" {
    const Refusal = struct { position: i32, sequence: i32, code: task_types.FaultCode };
    for ([_]Refusal{
        .{ .position = -1, .sequence = 1, .code = .position_out_of_range },
        .{ .position = 256, .sequence = 1, .code = .position_out_of_range },
        .{ .position = 10, .sequence = 2, .code = .sequence_out_of_range },
        .{ .position = 200, .sequence = 1, .code = .page_out_of_range },
    }) |refusal| {
        var case = try Case(f16).init(.{ .rows = 4, .heads = 2, .groups = 1, .hd = 16 }, 70);
        defer case.deinit();
        case.positions[3] = refusal.position;
        case.sequences[3] = refusal.sequence;
        if (refusal.code == .page_out_of_range) case.pages[7] = 8;
        const attrs = Attrs{ .scale = 1 };
        const outcome = testing.run(run, &case.inputs(), &case.outputs(), attrs, .{});
        try std.testing.expectEqual(refusal.code, outcome.code);
    }
}
