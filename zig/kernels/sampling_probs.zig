//! Logits to the probabilities a token is drawn from, row by row:
//!   x = logits after the repetition penalty and the ban of repeated n-grams
//!   w = e^((x - max x) / temperature) where x is among the top_k, else 0
//!   w filtered by top_p, min_p, typical_p; p = w / sum(w)
//! in this order and with the meaning of transformers' logits processors. Temperature 0 puts all
//! probability on the first largest x. History is the prompt and everything drawn since. Logits
//! that are not finite make the run fail: no token could be drawn with sense.

const std = @import("std");
const filters = @import("sampling_filters.zig");
const lanes = @import("lanes.zig");
const Task = @import("task.zig").Task;

/// Columns of the parameters. Zero turns a filter off, as 1 does the penalty; temperature 0 is
/// greedy.
pub const Column = enum(u32) {
    temperature,
    top_k,
    top_p,
    min_p,
    typical_p,
    repetition_penalty,
    no_repeat_ngram,
    reserved,
};

pub fn run(task: *const Task) callconv(.c) void {
    const logits = task.in(0); // f32 (sequences, vocabulary)
    const probs = task.out(0); // f32 (sequences, vocabulary)
    if (logits.dims[1] == 0) return;
    const share = task.share(logits.dims[0]);
    for (share.start..share.end) |s| {
        distribute(task, s) catch {
            task.fail(.not_finite, @intCast(s));
            clear(probs.row(f32, s));
        };
    }
}

fn distribute(task: *const Task, s: usize) error{NotFinite}!void {
    const params = task.in(1).row(f32, s); // (columns)
    const probs = task.out(0).row(f32, s); // (vocabulary)
    const x = penalized(task, s, task.in(0).row(f32, s), probs);
    const largest = try largestOf(x);
    const temperature = param(params, .temperature);
    if (!(temperature > 0)) {
        const token = std.mem.indexOfScalar(f32, x, largest).?;
        clear(probs);
        probs[token] = 1;
        return;
    }

    const k = countOf(param(params, .top_k));
    const all = k == 0 or k >= x.len;
    const cut = if (all) -std.math.inf(f32) else filters.largestCut(x, k);
    weigh(x, probs, .{ .largest = largest, .cut = cut, .temperature = temperature });

    const scratch = std.mem.bytesAsSlice(f32, task.scratch[0..task.scratch_size]);
    const top_p = param(params, .top_p);
    if (top_p > 0 and top_p < 1) filters.keepTopP(probs, top_p, scratch);
    const min_p = param(params, .min_p);
    if (min_p > 0) filters.keepMinP(probs, @min(min_p, 1));
    const typical_p = param(params, .typical_p);
    if (typical_p > 0 and typical_p < 1) filters.keepTypical(probs, typical_p, scratch);
    normalize(probs);
}

/// The logits with their penalties, in `workspace` if there are any.
fn penalized(task: *const Task, s: usize, logits: []const f32, workspace: []f32) []const f32 {
    const params = task.in(1).row(f32, s);
    const penalty = param(params, .repetition_penalty);
    const ngram_len = countOf(param(params, .no_repeat_ngram));
    const penalizes = penalty > 0 and penalty != 1;
    const history = historyOf(task, s);
    if (history.len == 0 or (!penalizes and ngram_len == 0)) return logits;

    @memcpy(workspace, logits);
    for (history) |token| {
        if (token < 0 or token >= logits.len) {
            task.fail(.token_out_of_range, token);
            continue;
        }
        if (!penalizes) continue;
        // From the untouched logits, so a token that comes twice is penalized once.
        const x = logits[@intCast(token)];
        workspace[@intCast(token)] = if (x < 0) x * penalty else x / penalty;
    }
    if (ngram_len > 0) banRepeats(history, ngram_len, workspace);
    return workspace;
}

fn historyOf(task: *const Task, s: usize) []const i32 {
    const history = task.in(2).row(i32, s); // (places)
    if (history.len == 0) return history;
    const len = task.in(3).ptr(i32)[s]; // i32 (sequences)
    if (len < 0 or len > history.len) {
        task.fail(.history_full, len);
        return history[0..0];
    }
    return history[0..@intCast(len)];
}

/// Bans each token that would complete an n-gram that the history already has.
fn banRepeats(history: []const i32, ngram_len: usize, x: []f32) void {
    if (history.len < ngram_len) return;
    const prefix = history[history.len - (ngram_len - 1) ..];
    for (ngram_len - 1..history.len) |last| {
        const token = history[last];
        if (token < 0 or token >= x.len) continue;
        const seen = history[last - (ngram_len - 1) .. last];
        if (std.mem.eql(i32, seen, prefix)) x[@intCast(token)] = -std.math.inf(f32);
    }
}

/// The largest logit, when it is finite and none is NaN.
fn largestOf(x: []const f32) error{NotFinite}!f32 {
    var largest = lanes.splat(-std.math.inf(f32));
    var ordered: @Vector(lanes.width, bool) = @splat(true);
    var at: usize = 0;
    while (at + lanes.width <= x.len) : (at += lanes.width) {
        const v = lanes.load(f32, x[at..].ptr);
        largest = lanes.max(v, largest);
        ordered = ordered & (v == v);
    }
    var result = lanes.foldMax(largest);
    var sound = @reduce(.And, ordered);
    for (x[at..]) |v| {
        if (v > result) result = v;
        sound = sound and v == v;
    }
    return if (sound and std.math.isFinite(result)) result else error.NotFinite;
}

const Weighing = struct { largest: f32, cut: f32, temperature: f32 };

/// w = e^((x - largest) / temperature) from `cut` upwards, 0 below. The difference comes first, so
/// no temperature makes an infinity of the largest.
fn weigh(x: []const f32, w: []f32, how: Weighing) void {
    const count_whole = x.len - x.len % lanes.width;
    var at: usize = 0;
    while (at < count_whole) : (at += lanes.width) {
        lanes.store(f32, w[at..].ptr, weightsOf(lanes.load(f32, x[at..].ptr), how));
    }
    const count_tail = x.len - count_whole;
    const tail = lanes.loadTail(f32, x[at..].ptr, count_tail);
    lanes.storeTail(f32, w[at..].ptr, weightsOf(tail, how), count_tail);
}

inline fn weightsOf(x: lanes.F32, how: Weighing) lanes.F32 {
    const z = (x - lanes.splat(how.largest)) / lanes.splat(how.temperature);
    return @select(f32, x >= lanes.splat(how.cut), lanes.exp(z), lanes.zero);
}

/// The stores are volatile, so that they do not become a call of memset, which without a C
/// library goes byte by byte.
fn clear(w: []f32) void {
    var at: usize = 0;
    while (at + lanes.width <= w.len) : (at += lanes.width) {
        @as(*align(@alignOf(f32)) volatile lanes.F32, @ptrCast(w[at..].ptr)).* = lanes.zero;
    }
    for (w[at..]) |*p| p.* = 0;
}

fn normalize(w: []f32) void {
    const inverse: f32 = @floatCast(1 / filters.mass(w));
    var at: usize = 0;
    while (at + lanes.width <= w.len) : (at += lanes.width) {
        const p = lanes.load(f32, w[at..].ptr) * lanes.splat(inverse);
        lanes.store(f32, w[at..].ptr, p);
    }
    for (w[at..]) |*p| p.* *= inverse;
}

pub fn param(params: []const f32, column: Column) f32 {
    return params[@intFromEnum(column)];
}

/// A parameter that counts things; 0 for what is no count.
pub fn countOf(value: f32) usize {
    if (!(value >= 1)) return 0;
    return @intFromFloat(@min(value, 0x1p31));
}

const testing = @import("testing.zig");
const column_count = std.enums.values(Column).len;

/// The definition, with sorts and in f64: what the filters must amount to.
const Reference = struct {
    w: []f64,
    order: []usize,

    fn init(x: []const f32, params: [column_count]f32) !Reference {
        const gpa = std.testing.allocator;
        const w = try gpa.alloc(f64, x.len);
        const order = try gpa.alloc(usize, x.len);
        for (order, 0..) |*index, i| index.* = i;
        const largest: f64 = std.mem.max(f32, x);
        for (w, x) |*out, z| out.* = @exp((z - largest) / param(&params, .temperature));
        return .{ .w = w, .order = order };
    }

    fn deinit(reference: Reference) void {
        std.testing.allocator.free(reference.w);
        std.testing.allocator.free(reference.order);
    }

    fn sum(reference: Reference) f64 {
        var total: f64 = 0;
        for (reference.w) |w| total += w;
        return total;
    }

    fn topK(reference: Reference, k: usize) void {
        const sorted = std.testing.allocator.dupe(f64, reference.w) catch unreachable;
        defer std.testing.allocator.free(sorted);
        std.mem.sort(f64, sorted, {}, std.sort.desc(f64));
        const cut = sorted[@min(k, sorted.len) - 1];
        for (reference.w) |*w| w.* = if (w.* < cut) 0 else w.*;
    }

    fn topP(reference: Reference, p: f64) void {
        std.mem.sort(usize, reference.order, reference.w, struct {
            fn less(w: []f64, a: usize, b: usize) bool {
                return w[a] < w[b] or (w[a] == w[b] and a > b);
            }
        }.less);
        const total = reference.sum();
        var cumulative: f64 = 0;
        for (reference.order[0 .. reference.order.len - 1]) |i| {
            cumulative += reference.w[i];
            if (cumulative <= (1 - p) * total) reference.w[i] = 0;
        }
    }

    fn minP(reference: Reference, min_p: f64) void {
        for (reference.w) |*w| w.* = if (w.* < min_p) 0 else w.*;
    }

    fn typicalP(reference: Reference, p: f64) void {
        const total = reference.sum();
        var entropy: f64 = 0;
        for (reference.w) |w| {
            if (w > 0) entropy -= w / total * @log(w / total);
        }
        const Context = struct {
            w: []f64,
            total: f64,
            entropy: f64,
            fn distance(context: @This(), i: usize) f64 {
                return @abs(-@log(context.w[i] / context.total) - context.entropy);
            }
            fn less(context: @This(), a: usize, b: usize) bool {
                return context.distance(a) < context.distance(b);
            }
        };
        const context: Context = .{ .w = reference.w, .total = total, .entropy = entropy };
        std.mem.sort(usize, reference.order, context, Context.less);
        var cumulative: f64 = 0;
        for (reference.order) |i| {
            const enough = cumulative >= p * total;
            cumulative += reference.w[i];
            if (enough) reference.w[i] = 0;
        }
    }
};

fn expectReference(x: []const f32, params: [column_count]f32, probs: []f32) !void {
    const vocabulary: u32 = @intCast(x.len);
    const history = [_]i32{0};
    const outcome = testing.run(&run, &.{
        testing.dense(f32, x, &.{ 1, vocabulary }),
        testing.dense(f32, &params, &.{ 1, column_count }),
        testing.dense(i32, history[0..0], &.{ 1, 0 }),
        testing.dense(i32, &history, &.{1}),
    }, &.{testing.dense(f32, probs, &.{ 1, vocabulary })}, {}, .{});
    try std.testing.expectEqual(.none, outcome.code);
    const want = try Reference.init(x, params);
    defer want.deinit();
    if (param(&params, .top_k) > 0) want.topK(countOf(param(&params, .top_k)));
    if (param(&params, .top_p) > 0) want.topP(param(&params, .top_p));
    if (param(&params, .min_p) > 0) want.minP(param(&params, .min_p));
    if (param(&params, .typical_p) > 0) want.typicalP(param(&params, .typical_p));
    const total = want.sum();
    for (want.w, probs) |w, p| {
        if (p == 0 and w != 0) try std.testing.expect(w < 1e-37);
        try std.testing.expectApproxEqAbs(w / total, p, 1e-6);
        if (w == 0) try std.testing.expectEqual(0, p);
    }
}

test "sampling_probs: equals sorting for every filter, alone and together" {
    const settings = [_][5]f32{
        .{ 1, 0, 0, 0, 0 },           .{ 0.3, 0, 0, 0, 0 },           .{ 1, 1, 0, 0, 0 },
        .{ 1, 40, 0, 0, 0 },          .{ 1, 5000, 0, 0, 0 },          .{ 1, 0, 0.9, 0, 0 },
        .{ 2, 0, 0.01, 0, 0 },        .{ 0.7, 0, 0.999, 0, 0 },       .{ 1, 0, 0, 0.05, 0 },
        .{ 1, 0, 0, 0, 0.3 },         .{ 0.8, 0, 0, 0, 0.95 },        .{ 0.6, 20, 0.8, 0, 0 },
        .{ 1.5, 100, 0.95, 0.02, 0 }, .{ 0.9, 50, 0.97, 0.001, 0.8 },
    };
    const gpa = std.testing.allocator;
    for ([_]usize{ 1, 15, 48, 1000, 3001 }, 0..) |vocabulary, case| {
        const x = try gpa.alloc(f32, vocabulary);
        defer gpa.free(x);
        const probs = try gpa.alloc(f32, vocabulary);
        defer gpa.free(probs);
        for ([_]f32{ 0.05, 1, 4, 30 }) |spread| {
            testing.fillNormal(f32, x, 11 + case, spread);
            for (settings) |row| try expectReference(x, row ++ .{ 1, 0, 0 }, probs);
        }
    }
}

test "sampling_probs: ties stay together under top_k and go last first under top_p" {
    var x: [100]f32 = undefined;
    testing.fillInteger(i32, @as(*[100]i32, @ptrCast(&x)), 3, -3, 3);
    for (@as(*[100]i32, @ptrCast(&x)), &x) |integer, *z| z.* = @floatFromInt(integer);
    var probs: [100]f32 = undefined;
    const settings = [_][5]f32{
        .{ 1, 3, 0, 0, 0 }, .{ 1, 0, 0.85, 0, 0 }, .{ 0.5, 30, 0.5, 0, 0 }, .{ 3, 0, 0.33, 0.5, 0 },
    };
    for (settings) |row| try expectReference(&x, row ++ .{ 1, 0, 0 }, &probs);
}

/// Two sequences over five tokens; returns their probabilities.
fn penalizedProbs(params: [column_count]f32, history: [2][6]i32, len: [2]i32) ![10]f32 {
    const x = [_]f32{ 2, -2, 1, 0.5, 0 } ** 2;
    const both = params ++ params;
    var probs: [10]f32 = undefined;
    const flat: [12]i32 = history[0] ++ history[1];
    try testing.runSplit(&run, &.{
        testing.dense(f32, &x, &.{ 2, 5 }),
        testing.dense(f32, &both, &.{ 2, column_count }),
        testing.dense(i32, &flat, &.{ 2, 6 }),
        testing.dense(i32, &len, &.{2}),
    }, &.{testing.dense(f32, &probs, &.{ 2, 5 })}, {}, &.{std.mem.asBytes(&probs)});
    return probs;
}

test "sampling_probs: penalizes each token of the history once, within its length" {
    const probs = try penalizedProbs(
        .{ 1, 0, 0, 0, 0, 2, 0, 0 },
        .{ .{ 0, 1, 0, 1, 2, 2 }, .{ 4, 3, 3, 3, 3, 3 } },
        .{ 4, 1 },
    );
    const want = [2][5]f64{ .{ 1, -4, 1, 0.5, 0 }, .{ 2, -2, 1, 0.5, 0 } };
    for (want, 0..) |x, s| {
        var sum: f64 = 0;
        for (x) |z| sum += @exp(z);
        for (x, probs[s * 5 ..][0..5]) |z, p| {
            try std.testing.expectApproxEqAbs(@exp(z) / sum, p, 1e-6);
        }
    }
}

test "sampling_probs: greedy takes the first largest, after penalties and bans" {
    const plain = try penalizedProbs(.{ 0, 0, 0, 0, 0, 1, 0, 0 }, @splat(@splat(0)), .{ 6, 0 });
    try std.testing.expectEqual([_]f32{ 1, 0, 0, 0, 0 } ** 2, plain);
    const tied = try penalizedProbs(.{ 0, 0, 0, 0, 0, 4, 0, 0 }, @splat(@splat(0)), .{ 6, 0 });
    try std.testing.expectEqual([_]f32{ 0, 0, 1, 0, 0, 1, 0, 0, 0, 0 }, tied);
    const history = [2][6]i32{ .{ 3, 0, 4, 3, 0, 9 }, .{ 3, 0, 4, 0, 3, 9 } };
    const pairs = try penalizedProbs(.{ 0, 0, 0, 0, 0, 1, 2, 0 }, history, .{ 4, 5 });
    try std.testing.expectEqual([_]f32{ 0, 0, 1, 0, 0 } ** 2, pairs);
    const singles = try penalizedProbs(.{ 0, 0, 0, 0, 0, 1, 1, 0 }, history, .{ 1, 2 });
    try std.testing.expectEqual([_]f32{ 1, 0, 0, 0, 0, 0, 0, 1, 0, 0 }, singles);
    const short = try penalizedProbs(.{ 0, 0, 0, 0, 0, 1, 3, 0 }, history, .{ 2, 1 });
    try std.testing.expectEqual(plain, short);
}

test "sampling_probs: refuses logits that are not finite, and history out of range" {
    const infinity = std.math.inf(f32);
    const FaultCode = @import("task.zig").FaultCode;
    const Case = struct { x: [20]f32, history: [2]i32, len: i32, want: FaultCode };
    const fine: [20]f32 = @splat(1);
    var cases = [_]Case{
        .{ .x = fine, .history = .{ 0, 1 }, .len = 2, .want = .none },
        .{ .x = fine, .history = .{ 0, 1 }, .len = 2, .want = .not_finite },
        .{ .x = fine, .history = .{ 0, 1 }, .len = 2, .want = .not_finite },
        .{ .x = fine, .history = .{ 0, 1 }, .len = 2, .want = .not_finite },
        .{ .x = @splat(-infinity), .history = .{ 0, 1 }, .len = 2, .want = .not_finite },
        .{ .x = fine, .history = .{ 0, 20 }, .len = 2, .want = .token_out_of_range },
        .{ .x = fine, .history = .{ -1, 0 }, .len = 2, .want = .token_out_of_range },
        .{ .x = fine, .history = .{ 0, 1 }, .len = 3, .want = .history_full },
        .{ .x = fine, .history = .{ 0, 1 }, .len = -1, .want = .history_full },
    };
    cases[1].x[3] = std.math.nan(f32);
    cases[2].x[19] = std.math.nan(f32);
    cases[3].x[17] = infinity;
    for (cases) |case| {
        for ([_]f32{ 0, 0.8 }) |temperature| {
            const params = [column_count]f32{ temperature, 0, 0.9, 0, 0, 1.2, 0, 0 };
            var probs: [20]f32 = @splat(-7);
            const outcome = testing.run(&run, &.{
                testing.dense(f32, &case.x, &.{ 1, 20 }),
                testing.dense(f32, &params, &.{ 1, column_count }),
                testing.dense(i32, &case.history, &.{ 1, 2 }),
                testing.dense(i32, &.{case.len}, &.{1}),
            }, &.{testing.dense(f32, &probs, &.{ 1, 20 })}, {}, .{});
            try std.testing.expectEqual(case.want, outcome.code);
            for (probs) |p| try std.testing.expect(p >= 0 and p <= 1);
        }
    }
}
