//! What each op asks of its operands: count, rank, dtype, layout, and which extents must agree, as
//! symbols: "rows" equals "rows" for every run, not only at the largest sizes.

const std = @import("std");
const abi = @import("../abi.zig");
const cast = @import("../kernels/cast.zig");
const case_types = @import("case.zig");
const chain_rules = @import("chain_rules.zig");
const dense_rules = @import("dense_rules.zig");
const head_rules = @import("head_rules.zig");
const tensor_rules = @import("tensor_rules.zig");
const validation = @import("validate.zig");
const packing_count = @import("../kernels/unpack_packed.zig").packing_count;

const Case = case_types.Case;
const Dim = abi.Dim;
const Plain = abi.Plain;
const Error = case_types.Error;
const constant = case_types.constant;
const evenHalf = case_types.evenHalf;
const flag = case_types.flag;
const require = case_types.require;
const same = case_types.same;
const sameAll = case_types.sameAll;

pub fn attrWords(op: abi.Op) u32 {
    inline for (@typeInfo(abi.Attrs).@"struct".decls) |decl| {
        if (std.mem.eql(u8, decl.name, @tagName(op))) {
            return @sizeOf(@field(abi.Attrs, decl.name)) / @sizeOf(u32);
        }
    }
    return 0;
}

/// Ops whose output element depends on the input element of the same index alone.
pub fn allowsInPlace(op: abi.Op) bool {
    return switch (op) {
        .add, .sub, .mul, .div, .elementwise_chain => true,
        else => tensor_rules.allowsInPlace(op),
    };
}

pub fn check(case: Case, op: abi.Op) Error!void {
    switch (op) {
        .copy => try copy(case),
        .add, .sub, .mul, .div => try tensor_rules.check(case, op),
        .elementwise_chain => try chain_rules.check(case),
        .softmax => try softmax(case),
        .embedding => try embedding(case),
        .rms_norm => try rmsNorm(case),
        .quantize_rows => try quantizeRows(case),
        .rms_norm_quantize => try rmsNormQuantize(case),
        .ternary_matmul => try ternaryMatmul(case),
        .int8_matmul => try head_rules.int8Matmul(case),
        .dense_matmul => try denseMatmul(case),
        .rope_angles => try ropeAngles(case),
        .rope => try rope(case),
        .kv_write => try kvWrite(case),
        .attention => try attention(case),
        .gated_activation => try gatedActivation(case),
        .gather_rows => try gatherRows(case),
        .sampling_probs => try samplingProbs(case),
        .sample => try sample(case),
        .emit => try emit(case),
        .stop_when => try stopWhen(case),
        .abs_stats => try absStats(case),
        .ternarize => try ternarize(case),
        .unpack_ternary => try unpackTernary(case),
        .pack_tile2 => try packTiles(case, .tile2),
        .pack_tile3 => try packTiles(case, .tile3),
        .pack_ternary => try packTernary(case),
        .convert => try convert(case),
        .matmul => try dense_rules.matmul(case),
        .quantize_nibbles => try head_rules.quantizeNibbles(case),
        .head_screen => try head_rules.headScreen(case),
        .head_refine => try head_rules.headRefine(case),
        .unpack_packed => try unpackPacked(case),
        .cholesky => try dense_rules.cholesky(case),
        .lu => try dense_rules.lu(case),
        .solve => try dense_rules.solve(case),
        .triangular_solve => try dense_rules.triangularSolve(case),
        .qr => try dense_rules.qr(case),
        .svd => try dense_rules.svd(case),
        .eigh => try dense_rules.eigh(case),
        else => try tensor_rules.check(case, op),
    }
}

fn copy(case: Case) Error!void {
    try case.counts(1, 1);
    const x = case.in(0);
    const y = case.out(0);
    const dtype = case.blob.dtype(x);
    const to = case.blob.dtype(y);
    const castable = Plain.of(dtype, .strided) != null and Plain.of(to, .strided) != null;
    try require(dtype == to or castable);
    const dims = try case.strided(x, dtype, x.rank);
    try sameAll(dims, try case.strided(y, to, x.rank));
}

fn softmax(case: Case) Error!void {
    try case.counts(1, 1);
    try sameAll(try case.rowsOfAny(case.in(0), .f32), try case.rowsOfAny(case.out(0), .f32));
}

fn embedding(case: Case) Error!void {
    try case.counts(2, 1);
    const ids = try case.vector(case.in(0), .i32);
    const table = try case.weights(case.in(1));
    try sameAll(&try case.rows(case.out(0), .f32), &.{ ids, table[1] });
}

fn rmsNorm(case: Case) Error!void {
    try case.counts(2, 1);
    const x = try case.rows(case.in(0), .f32);
    try same(x[1], try case.vector(case.in(1), .f32));
    try sameAll(&x, &try case.rows(case.out(0), .f32));
}

fn quantizeRows(case: Case) Error!void {
    try case.counts(1, 2);
    const levels = case.attrs[0];
    const q = case.out(0);
    const x = try case.weights(case.in(0));
    switch (case.blob.dtype(q)) {
        .i8 => {
            try require(levels >= 1 and levels <= 127);
            try sameAll(&x, &try case.rows(q, .i8));
        },
        .i16 => {
            try require(levels >= 1 and levels <= 32767);
            try sameAll(&x, &try case.rows(q, .i16));
        },
        else => return error.InvalidProgram,
    }
    try same(x[0], try case.vector(case.out(1), .f32));
}

fn rmsNormQuantize(case: Case) Error!void {
    try case.counts(2, 2);
    const x = try case.rows(case.in(0), .f32);
    try same(x[1], try case.vector(case.in(1), .f32));
    try sameAll(&x, &try case.rows(case.out(0), .i8));
    try same(x[0], try case.vector(case.out(1), .f32));
}

fn ternaryMatmul(case: Case) Error!void {
    const has_bias = try flag(case.attrs[0]);
    const has_residual = try flag(case.attrs[1]);
    try case.counts(3 + @as(usize, has_bias) + has_residual, 1);
    const q = try case.rows(case.in(0), .i8);
    try same(q[0], try case.vector(case.in(1), .f32));
    const w = case.in(2);
    const layout = case.blob.layout(w);
    try require((layout == .tile2 or layout == .tile3) and w.row_scale_slot != abi.no_slot);
    const dims = case.blob.slotDims(w);
    try same(q[1], dims[1]);
    try require(dims[1].add <= ternary_columns_max and case.tileAligned(w));
    const y = [2]Dim{ q[0], dims[0] };
    if (has_bias == 1) try same(dims[0], try case.vector(case.in(3), .f32));
    if (has_residual == 1) {
        try sameAll(&y, &try case.rows(case.in(3 + @as(usize, has_bias)), .f32));
    }
    try sameAll(&y, &try case.rows(case.out(0), .f32));
}

/// Columns of a ternary matrix: eight rows of activations fit a worker's scratch, and sums an i32.
const ternary_columns_max = 1 << 17;

fn denseMatmul(case: Case) Error!void {
    const has_bias = try flag(case.attrs[0]);
    try case.counts(2 + @as(usize, has_bias), 1);
    const x = try case.rows(case.in(0), .f32);
    const w = try case.weights(case.in(1));
    try same(x[1], w[1]);
    if (has_bias == 1) try same(w[0], try case.vector(case.in(2), .f32));
    try sameAll(&try case.rows(case.out(0), .f32), &.{ x[0], w[0] });
}

fn ropeAngles(case: Case) Error!void {
    try case.counts(2, 2);
    const positions = try case.vector(case.in(0), .i32);
    const half = try case.vector(case.in(1), .f32);
    try sameAll(&try case.rows(case.out(0), .f32), &.{ positions, half });
    try sameAll(&try case.rows(case.out(1), .f32), &.{ positions, half });
}

fn rope(case: Case) Error!void {
    try case.counts(3, 1);
    const x = try case.heads(case.in(0));
    const half = try evenHalf(x[2]);
    try sameAll(&try case.rows(case.in(1), .f32), &.{ x[0], half });
    try sameAll(&try case.rows(case.in(2), .f32), &.{ x[0], half });
    try sameAll(&x, &try case.heads(case.out(0)));
}

fn kvWrite(case: Case) Error!void {
    try case.counts(5, 2);
    const k = try case.heads(case.in(0));
    try sameAll(&k, &try case.heads(case.in(1)));
    try same(k[0], try case.vector(case.in(2), .i32));
    try same(k[0], try case.vector(case.in(3), .i32));
    _ = try case.rows(case.in(4), .i32);
    try keyValuePages(case, .{ case.out(0), case.out(1) }, k[1], k[2]);
}

fn attention(case: Case) Error!void {
    try case.counts(6, 1);
    const q = try case.heads(case.in(0));
    const k_dims = try case.pages(case.in(1));
    try keyValuePages(case, .{ case.in(1), case.in(2) }, k_dims[1], q[2]);
    const heads = try constant(q[1]);
    const groups = try constant(k_dims[1]);
    try require(groups > 0 and heads % groups == 0);
    try same(q[0], try case.vector(case.in(3), .i32));
    try same(q[0], try case.vector(case.in(4), .i32));
    _ = try case.rows(case.in(5), .i32);
    try sameAll(&q, &try case.heads(case.out(0)));
}

/// Keys lie (pages, groups, width, positions), values (pages, groups, positions, width).
fn keyValuePages(case: Case, slots: [2]abi.Slot, groups: Dim, width: Dim) Error!void {
    const k = try case.pages(slots[0]);
    const v = try case.pages(slots[1]);
    try require(slots[0].dtype == slots[1].dtype);
    const positions: Dim = .{
        .sym = abi.no_sym,
        .reserved = 0,
        .mul = 0,
        .add = abi.page_positions,
    };
    try sameAll(&k, &.{ k[0], groups, width, positions });
    try sameAll(&v, &.{ k[0], groups, positions, width });
    // A query row and its sums live in a worker's scratch.
    try require(try constant(width) <= 1024);
}

fn gatedActivation(case: Case) Error!void {
    try case.counts(2, 1);
    try require(case.attrs[0] < @typeInfo(abi.Activation).@"enum".fields.len);
    const gate = try case.rows(case.in(0), .f32);
    try sameAll(&gate, &try case.rows(case.in(1), .f32));
    try sameAll(&gate, &try case.rows(case.out(0), .f32));
}

fn gatherRows(case: Case) Error!void {
    try case.counts(2, 1);
    const x = try case.rows(case.in(0), .f32);
    const wanted = try case.vector(case.in(1), .i32);
    try sameAll(&try case.rows(case.out(0), .f32), &.{ wanted, x[1] });
}

fn samplingProbs(case: Case) Error!void {
    try case.counts(4, 1);
    const logits = try case.rows(case.in(0), .f32);
    try case.samplingState(1, logits[0]);
    try sameAll(&logits, &try case.rows(case.out(0), .f32));
}

fn sample(case: Case) Error!void {
    try case.counts(2, 4);
    const probs = try case.rows(case.in(0), .f32);
    const words = @typeInfo(abi.RandomWord).@"enum".fields.len;
    const random = try case.rows(case.in(1), .u32);
    try require(try constant(random[1]) == words);
    try sameAll(&random, &try case.rows(case.out(1), .u32));
    const token = try case.vector(case.out(0), .i32);
    const history = try case.rows(case.out(2), .i32);
    const lengths = try case.vector(case.out(3), .i32);
    for ([_]Dim{ random[0], token, history[0], lengths }) |dim| try same(probs[0], dim);
}

fn emit(case: Case) Error!void {
    try case.counts(1, 1);
    const token = try case.vector(case.in(0), .i32);
    const ring = try case.rows(case.out(0), .i32);
    try same(token, ring[1]);
}

fn stopWhen(case: Case) Error!void {
    try case.counts(3, 1);
    const token = try case.vector(case.in(0), .i32);
    const stops = try case.rows(case.in(1), .i32);
    for ([_]Dim{
        stops[0],
        try case.vector(case.in(2), .i32),
        try case.vector(case.out(0), .i32),
    }) |dim| try same(token, dim);
}

fn absStats(case: Case) Error!void {
    try case.counts(1, 1);
    const w = try case.weights(case.in(0));
    try require(case.blob.layout(case.in(0)) == .strided);
    const stats = try case.rows(case.out(0), .f64);
    try same(w[0], stats[0]);
    try require(try constant(stats[1]) == 3);
}

fn ternarize(case: Case) Error!void {
    try case.counts(2, 1);
    const w = try case.weights(case.in(0));
    try require(case.blob.layout(case.in(0)) == .strided);
    try require(try constant(try case.vector(case.in(1), .f32)) == 1);
    try sameAll(&w, &try ternaryRows(case, case.out(0)));
}

/// Where ternary weights are written to: i8 rows, or tiles of a packing.
fn ternaryRows(case: Case, slot: abi.Slot) Error![2]Dim {
    const layout = case.blob.layout(slot);
    if (layout != .tile2 and layout != .tile3) return case.rows(slot, .i8);
    try require(slot.rank == 2);
    return case.blob.slotDims(slot)[0..2].*;
}

fn unpackTernary(case: Case) Error!void {
    try case.counts(1, 2);
    const w = case.in(0);
    const blocks: u64 = switch (case.blob.layout(w)) {
        .hf_ternary, .i2_s_128, .i2_s_64, .tile2, .tile3 => 1,
        .tq1_0, .tq2_0 => blk: {
            const dims = case.blob.slotDims(w);
            break :blk @as(u64, dims[0].add) * dims[1].add / 256;
        },
        else => return error.InvalidProgram,
    };
    const to = case.out(0);
    try sameAll(case.blob.slotDims(w), &try ternaryRows(case, to));
    if (case.blob.layout(to) == .strided) try require(validation.contiguous(case.blob, to));
    try require(try constant(try case.vector(case.out(1), .f32)) == blocks);
}

fn packTiles(case: Case, layout: abi.Layout) Error!void {
    try case.counts(1, 1);
    const codes = try case.rows(case.in(0), .i8);
    const w = case.out(0);
    try require(case.blob.layout(w) == layout);
    try sameAll(&codes, case.blob.slotDims(w));
}

fn unpackPacked(case: Case) Error!void {
    try case.counts(1, 1);
    try require(case.attrs[0] < packing_count);
    _ = try case.vector(case.in(0), .u8);
    const codes = try case.rows(case.out(0), .i8);
    try require(try constant(codes[0]) == case.attrs[1]);
    try require(try constant(codes[1]) == case.attrs[2]);
    try require(validation.contiguous(case.blob, case.out(0)));
}

fn packTernary(case: Case) Error!void {
    try case.counts(2, 1);
    const codes = try case.rows(case.in(0), .i8);
    try require(validation.contiguous(case.blob, case.in(0)));
    try require(try constant(try case.vector(case.in(1), .f32)) == 1);
    const w = case.out(0);
    switch (case.blob.layout(w)) {
        .hf_ternary, .tq1_0, .tq2_0, .i2_s_128, .i2_s_64 => {},
        else => return error.InvalidProgram,
    }
    try sameAll(&codes, case.blob.slotDims(w));
}

fn convert(case: Case) Error!void {
    const has_losses = try flag(case.attrs[2]);
    try case.counts(1, 1 + @as(usize, has_losses));
    const from = try whole(case, case.in(0));
    const to = try whole(case, case.out(0));
    const dims = case.blob.slotDims(case.in(0));
    try sameAll(dims, case.blob.slotDims(case.out(0)));
    try require(from != to);
    const scale: f32 = @bitCast(case.attrs[0]);
    const zero_point: i32 = @bitCast(case.attrs[1]);
    try require(cast.fits(from, to, scale, zero_point));
    if (has_losses == 0) return;
    const losses = try case.rows(case.out(1), .f64);
    try require(validation.contiguous(case.blob, case.out(1)));
    const count = @as(u64, try constant(dims[0])) * try constant(dims[1]);
    const spans = std.math.divCeil(u64, count, cast.span_count_max) catch unreachable;
    try require(try constant(losses[0]) == spans and try constant(losses[1]) == 4);
}

/// A matrix without gaps, at any alignment; its dtype.
fn whole(case: Case, slot: abi.Slot) Error!Plain {
    try require(slot.rank == 2);
    const layout = case.blob.layout(slot);
    if (layout == .strided) try require(validation.contiguous(case.blob, slot));
    return Plain.of(case.blob.dtype(slot), layout) orelse error.InvalidProgram;
}
