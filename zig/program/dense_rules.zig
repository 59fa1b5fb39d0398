//! What products and decompositions of dense matrices ask of their operands (rules.zig has the
//! others).

const abi = @import("../abi.zig");
const case_types = @import("case.zig");
const validation = @import("validate.zig");
const eigh_work = @import("../linalg/eigh.zig").workSize;
const qr_work = @import("../linalg/qr.zig").workSize;
const svd_work = @import("../linalg/svd.zig").workSize;

const Case = case_types.Case;
const Dim = abi.Dim;
const Error = case_types.Error;

pub fn matmul(case: Case) Error!void {
    try case.counts(2, 1);
    const c = case.out(0);
    const dtype = case.blob.dtype(c);
    try case_types.require((dtype == .f32 or dtype == .f64) and c.rank >= 2);
    const dims = try case.strided(c, dtype, c.rank);
    const a = try matmulInput(case, case.in(0), c);
    const b = try matmulInput(case, case.in(1), c);
    try case_types.same(a[0], dims[c.rank - 2]);
    try case_types.same(b[1], dims[c.rank - 1]);
    try case_types.same(a[1], b[0]);
}

/// A matrix or a batch of them, whose leading extents are those of `c`, or 1, or missing.
fn matmulInput(case: Case, slot: abi.Slot, c: abi.Slot) Error![2]Dim {
    const dtype = case.blob.dtype(slot);
    const wide = case.blob.dtype(c) == .f64;
    try case_types.require(if (wide) dtype == .f64 else case_types.isFloat(dtype));
    try case_types.require(slot.rank >= 2 and slot.rank <= c.rank);
    const dims = try case.strided(slot, dtype, slot.rank);
    const batch = slot.rank - 2;
    const c_dims = case.blob.slotDims(c)[c.rank - slot.rank ..];
    for (dims[0..batch], c_dims[0..batch]) |own, whole| {
        if (own.sym == abi.no_sym and own.add == 1) continue;
        try case_types.same(own, whole);
    }
    return dims[batch..][0..2].*;
}

/// A batch of matrices of fixed extents, f32 or f64, any strides.
const Matrices = struct { batch: []const Dim, m: u64, n: u64, dtype: abi.DType };

fn matrices(case: Case, slot: abi.Slot) Error!Matrices {
    const dtype = case.blob.dtype(slot);
    try case_types.require((dtype == .f32 or dtype == .f64) and slot.rank >= 2);
    const dims = try case.strided(slot, dtype, slot.rank);
    return .{
        .batch = dims[0 .. slot.rank - 2],
        .m = try case_types.constant(dims[slot.rank - 2]),
        .n = try case_types.constant(dims[slot.rank - 1]),
        .dtype = dtype,
    };
}

/// A batch of matrices without gaps, made from those of `from`: their extents.
fn made(case: Case, slot: abi.Slot, from: Matrices) Error![2]u64 {
    const own = try matrices(case, slot);
    try case_types.require(own.dtype == from.dtype and validation.contiguous(case.blob, slot));
    try case_types.sameAll(own.batch, from.batch);
    return .{ own.m, own.n };
}

fn madeAs(case: Case, slot: abi.Slot, from: Matrices, extents: [2]u64) Error!void {
    const own = try made(case, slot, from);
    try case_types.require(own[0] == extents[0] and own[1] == extents[1]);
}

/// A vector without gaps for each matrix of `from`: its length.
fn vectors(case: Case, slot: abi.Slot, from: Matrices, dtype: abi.DType) Error!u64 {
    const dims = try case.strided(slot, dtype, @intCast(from.batch.len + 1));
    try case_types.require(validation.contiguous(case.blob, slot));
    try case_types.sameAll(dims[0..from.batch.len], from.batch);
    return try case_types.constant(dims[from.batch.len]);
}

fn vectorsOf(
    case: Case,
    slot: abi.Slot,
    from: Matrices,
    dtype: abi.DType,
    length: u64,
) Error!void {
    try case_types.require(try vectors(case, slot, from, dtype) == length);
}

/// One number for each matrix of `from`, of its dtype, without gaps.
fn numbers(case: Case, slot: abi.Slot, from: Matrices) Error!void {
    const dims = try case.strided(slot, from.dtype, @intCast(from.batch.len));
    try case_types.require(validation.contiguous(case.blob, slot));
    try case_types.sameAll(dims, from.batch);
}

/// Elements of one matrix or workspace: products of extents never overflow.
const elements_max = 1 << 40;

fn bounded(a: Matrices) Error!void {
    try case_types.require(a.m * a.n <= elements_max and a.m <= extent_max and a.n <= extent_max);
}

/// Rows are counted exactly by an f32, and workspaces of squares stay in bounds.
const extent_max = 1 << 20;

pub fn cholesky(case: Case) Error!void {
    try case.counts(1, 1);
    const a = try matrices(case, case.in(0));
    try bounded(a);
    try case_types.require(a.m == a.n);
    try madeAs(case, case.out(0), a, .{ a.n, a.n });
}

pub fn lu(case: Case) Error!void {
    try case.counts(1, 3);
    const a = try matrices(case, case.in(0));
    try bounded(a);
    try madeAs(case, case.out(0), a, .{ a.m, a.n });
    try vectorsOf(case, case.out(1), a, .i32, a.m);
    try numbers(case, case.out(2), a);
}

pub fn solve(case: Case) Error!void {
    try case.counts(2, 3);
    const a, const b = try system(case);
    try madeAs(case, case.out(0), a, .{ a.n, b.n });
    try madeAs(case, case.out(1), a, .{ a.n, a.n });
    try vectorsOf(case, case.out(2), a, .i32, a.n);
}

pub fn triangularSolve(case: Case) Error!void {
    try case.counts(2, 1);
    for (case.attrs) |word| try case_types.require(word <= 1);
    const a, const b = try system(case);
    try madeAs(case, case.out(0), a, .{ a.n, b.n });
}

/// Square matrices and as many right-hand sides of their height.
fn system(case: Case) Error![2]Matrices {
    const a = try matrices(case, case.in(0));
    const b = try matrices(case, case.in(1));
    try bounded(a);
    try bounded(b);
    try case_types.require(a.m == a.n and b.m == a.n and b.dtype == a.dtype);
    try case_types.sameAll(a.batch, b.batch);
    return .{ a, b };
}

pub fn qr(case: Case) Error!void {
    try case.counts(1, 3);
    const a = try matrices(case, case.in(0));
    try bounded(a);
    const q = try made(case, case.out(0), a);
    const width = q[1];
    try case_types.require(q[0] == a.m and (width == @min(a.m, a.n) or width == a.m));
    try madeAs(case, case.out(1), a, .{ width, a.n });
    const size = qr_work(@intCast(a.m), @intCast(a.n), @intCast(width));
    try case_types.require(try vectors(case, case.out(2), a, a.dtype) >= size);
}

pub fn svd(case: Case) Error!void {
    try case.counts(1, 4);
    const a = try matrices(case, case.in(0));
    try bounded(a);
    const least = @min(a.m, a.n);
    try vectorsOf(case, case.out(0), a, a.dtype, least);
    const u = try made(case, case.out(1), a);
    const vt = try made(case, case.out(2), a);
    try case_types.require(u[0] == a.m and (u[1] == 0 or u[1] == least or u[1] == a.m));
    try case_types.require(vt[1] == a.n and (vt[0] == 0 or vt[0] == least or vt[0] == a.n));
    const size = svd_work(.{
        .m = @intCast(a.m),
        .n = @intCast(a.n),
        .u_columns = @intCast(u[1]),
        .v_rows = @intCast(vt[0]),
    });
    try case_types.require(try vectors(case, case.out(3), a, a.dtype) >= size);
}

pub fn eigh(case: Case) Error!void {
    try case.counts(1, 3);
    const a = try matrices(case, case.in(0));
    try bounded(a);
    try case_types.require(a.m == a.n);
    try vectorsOf(case, case.out(0), a, a.dtype, a.n);
    const q = try made(case, case.out(1), a);
    try case_types.require(q[0] == a.n and (q[1] == 0 or q[1] == a.n));
    const size = eigh_work(@intCast(a.n), q[1] > 0);
    try case_types.require(try vectors(case, case.out(2), a, a.dtype) >= size);
}
