//! What the ops of tensors ask of their operands: any strides up to rank 6, equal extents where
//! elements meet, and dtypes that kernels compute in.

const abi = @import("../abi.zig");
const case_types = @import("case.zig");
const validation = @import("validate.zig");

const Case = case_types.Case;
const Dim = abi.Dim;
const DType = abi.DType;
const Error = case_types.Error;
const require = case_types.require;
const sameAll = case_types.sameAll;

/// Ops whose output element depends on the input element of the same index alone, with one dtype.
pub fn allowsInPlace(op: abi.Op) bool {
    return switch (op) {
        .neg, .abs, .floor, .ceil, .round, .sqrt, .exp, .log, .sin, .cos, .tan => true,
        .asin, .acos, .atan, .tanh, .erf, .sigmoid => true,
        .power, .modulo, .minimum, .maximum => true,
        else => false,
    };
}

pub fn check(case: Case, op: abi.Op) Error!void {
    switch (op) {
        .neg, .abs => try unary(case, true),
        .floor, .ceil, .round, .sqrt, .exp, .log, .sin, .cos, .tan => try unary(case, false),
        .asin, .acos, .atan, .tanh, .erf, .sigmoid => try unary(case, false),
        .add, .sub, .mul, .div, .power, .modulo, .minimum, .maximum => try binary(case, null),
        .equal, .not_equal, .less, .less_equal => try binary(case, .bool),
        .select => try select(case),
        .reduce_sum, .reduce_product, .reduce_max, .reduce_min => {
            try reduction(case, case.attrs[0], null);
        },
        .arg_max, .arg_min => try reduction(case, 1, .i32),
        .cumulative_sum => try cumulativeSum(case),
        .take => try take(case),
        .scatter_add => try scatterAdd(case),
        .place => try place(case),
        .concat => try concat(case),
        .sort => try sort(case),
        .random_uniform, .random_normal => try random(case),
        else => return error.InvalidProgram,
    }
}

/// The operand's dims by any strides; its dtype one that kernels compute in.
fn computed(case: Case, slot: abi.Slot) Error![]const Dim {
    const dtype = case.blob.dtype(slot);
    try require(dtype == .f32 or dtype == .f64 or dtype == .i32);
    return case.strided(slot, dtype, slot.rank);
}

/// Dims of a slot of a dtype and rank without gaps.
fn compact(case: Case, slot: abi.Slot, dtype: DType, rank: u8) Error![]const Dim {
    const dims = try case.strided(slot, dtype, rank);
    try require(validation.contiguous(case.blob, slot));
    return dims;
}

fn unary(case: Case, takes_integers: bool) Error!void {
    try case.counts(1, 1);
    const dims = try computed(case, case.in(0));
    const dtype = case.blob.dtype(case.in(0));
    try require(takes_integers or dtype != .i32);
    try sameAll(dims, try case.strided(case.out(0), dtype, case.in(0).rank));
}

fn binary(case: Case, result: ?DType) Error!void {
    try case.counts(2, 1);
    const a = case.in(0);
    const dims = try computed(case, a);
    const dtype = case.blob.dtype(a);
    try sameAll(dims, try case.strided(case.in(1), dtype, a.rank));
    try sameAll(dims, try case.strided(case.out(0), result orelse dtype, a.rank));
}

fn select(case: Case) Error!void {
    try case.counts(3, 1);
    const y = case.out(0);
    const dtype = case.blob.dtype(y);
    const dims = try case.strided(y, dtype, y.rank);
    try sameAll(dims, try case.strided(case.in(0), .bool, y.rank));
    try sameAll(dims, try case.strided(case.in(1), dtype, y.rank));
    try sameAll(dims, try case.strided(case.in(2), dtype, y.rank));
}

fn reduction(case: Case, axes: u32, result: ?DType) Error!void {
    try case.counts(1, 1);
    const x = case.in(0);
    const y = case.out(0);
    try require(axes <= x.rank and y.rank == x.rank - axes);
    const dims = try computed(case, x);
    const dtype = result orelse case.blob.dtype(x);
    try sameAll(dims[0..y.rank], try case.strided(y, dtype, y.rank));
}

fn cumulativeSum(case: Case) Error!void {
    try case.counts(1, 1);
    const x = case.in(0);
    try require(x.rank >= 1);
    const dims = try computed(case, x);
    try sameAll(dims, try case.strided(case.out(0), case.blob.dtype(x), x.rank));
}

fn take(case: Case) Error!void {
    try case.counts(2, 1);
    const x = case.in(0);
    const y = case.out(0);
    try require(x.rank >= 1);
    const dtype = case.blob.dtype(x);
    const from = try case.strided(x, dtype, x.rank);
    const to = try case.strided(y, dtype, x.rank);
    try case_types.same(to[0], try case.vector(case.in(1), .i32));
    try sameAll(from[1..], to[1..]);
}

fn scatterAdd(case: Case) Error!void {
    try case.counts(3, 1);
    const base = case.in(0);
    const x = case.in(2);
    try require(base.rank >= 1);
    const dims = try computed(case, base);
    const dtype = case.blob.dtype(base);
    const added = try case.strided(x, dtype, base.rank);
    try case_types.same(added[0], try case.vector(case.in(1), .i32));
    try sameAll(dims[1..], added[1..]);
    try sameAll(dims, try case.strided(case.out(0), dtype, base.rank));
}

fn place(case: Case) Error!void {
    try case.counts(1, 1);
    const x = case.in(0);
    const y = case.out(0);
    const dtype = case.blob.dtype(x);
    const dims = try case.strided(x, dtype, x.rank);
    var size: i128 = 1;
    for (try compact(case, y, dtype, y.rank)) |dim| size *= try case_types.constant(dim);
    // The first and the last element that x reaches.
    var low: i128 = case.attrs[0];
    var high: i128 = case.attrs[0];
    for (dims, case.attrs[1..][0..dims.len]) |dim, word| {
        const extent = try case_types.constant(dim);
        if (extent == 0) return;
        const reach = @as(i128, @as(i32, @bitCast(word))) * (extent - 1);
        if (reach < 0) low += reach else high += reach;
    }
    try require(low >= 0 and high < size);
}

fn concat(case: Case) Error!void {
    try require(case.inputs.len > 0 and case.outputs.len == 1);
    const axis = case.attrs[0];
    const y = case.out(0);
    try require(axis < y.rank);
    const dtype = case.blob.dtype(y);
    const whole = try case.strided(y, dtype, y.rank);
    var sum: case_types.Sum = .{};
    for (0..case.inputs.len) |index| {
        const dims = try case.strided(case.in(index), dtype, y.rank);
        try sameAll(whole[0..axis], dims[0..axis]);
        try sameAll(whole[axis + 1 ..], dims[axis + 1 ..]);
        try sum.add(dims[axis]);
    }
    try require(sum.is(whole[axis]));
}

fn sort(case: Case) Error!void {
    try case.counts(1, 3);
    _ = try case_types.flag(case.attrs[0]);
    const x = case.in(0);
    try require(x.rank >= 1);
    const dims = try computed(case, x);
    try sameAll(dims, try compact(case, case.out(0), case.blob.dtype(x), x.rank));
    try sameAll(dims, try compact(case, case.out(1), .i32, x.rank));
    try sameAll(dims, try compact(case, case.out(2), .i32, x.rank));
}

fn random(case: Case) Error!void {
    try case.counts(1, 1);
    try require(try case_types.constant(try case.vector(case.in(0), .u32)) == 4);
    const y = case.out(0);
    const dtype = case.blob.dtype(y);
    try require(dtype == .f32 or dtype == .f64);
    _ = try compact(case, y, dtype, y.rank);
}
