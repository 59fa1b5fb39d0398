//! What products and decompositions of dense matrices ask of their operands (rules.zig has the
//! others).

const abi = @import("../abi.zig");
const case_types = @import("case.zig");

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
