//! What the ops of the int8 head ask of their operands: two planes of nibbles, and what screening
//! by the high one leaves for the low.

const std = @import("std");
const abi = @import("../abi.zig");
const case_types = @import("case.zig");

const Case = case_types.Case;
const Dim = abi.Dim;
const Error = case_types.Error;
const constant = case_types.constant;
const require = case_types.require;
const same = case_types.same;
const sameAll = case_types.sameAll;

/// Columns: all rows of activations that are screened fit a worker's scratch.
const columns_max = 1 << 16;

/// Rows: a bit for each fits a worker's scratch beside a row of activations.
const rows_max = 1 << 22;

pub fn int8Matmul(case: Case) Error!void {
    try case.counts(5, 1);
    try headProduct(case);
}

/// x, a, both planes and wa, and y: what the full head reads and makes.
fn headProduct(case: Case) Error!void {
    const x = try case.rows(case.in(0), .i16);
    try same(x[0], try case.vector(case.in(1), .f32));
    const w = try nibbles(case, case.in(2));
    try sameAll(&w, &try nibbles(case, case.in(3)));
    try same(w[0], try case.vector(case.in(4), .f32));
    try same(x[1], w[1]);
    try sameAll(&try case.rows(case.out(0), .f32), &.{ x[0], w[0] });
}

/// A plane of nibbles; lines are read as whole vectors.
fn nibbles(case: Case, slot: abi.Slot) Error![2]Dim {
    try require(case.blob.layout(slot) == .nibble4 and case.tileAligned(slot));
    const dims = case.blob.slotDims(slot);
    try require(dims[0].add <= rows_max and dims[1].add <= columns_max);
    return dims[0..2].*;
}

pub fn headScreen(case: Case) Error!void {
    try case.counts(9, 2);
    const x = try case.rows(case.in(0), .i16);
    try same(x[0], try case.vector(case.in(1), .f32));
    const w = try nibbles(case, case.in(2));
    try same(x[1], w[1]);
    for (3..6) |at| try same(w[0], try case.vector(case.in(at), .f32));
    try case.samplingState(6, x[0]);
    try screened(case, .{ case.out(0), case.out(1) }, .{ x[0], w[0] });
}

pub fn headRefine(case: Case) Error!void {
    try case.counts(12, 1);
    try headProduct(case);
    const y = try case.rows(case.out(0), .f32);
    for (5..7) |at| try same(y[1], try case.vector(case.in(at), .f32));
    try screened(case, .{ case.in(7), case.in(8) }, y);
    try case.samplingState(9, y[0]);
}

/// Sums of every row of the head and two bounds of every eight, for each sequence.
fn screened(case: Case, slots: [2]abi.Slot, y: [2]Dim) Error!void {
    try sameAll(&y, &try case.rows(slots[0], .i32));
    const bounds = try case.rows(slots[1], .f32);
    try same(y[0], bounds[0]);
    const rows = try constant(y[1]);
    const blocks = std.math.divCeil(u32, rows, abi.head_bound_rows) catch unreachable;
    try require(try constant(bounds[1]) == 2 * blocks);
}

pub fn quantizeNibbles(case: Case) Error!void {
    try case.counts(1, 5);
    const w = try case.weights(case.in(0));
    for (0..2) |at| try sameAll(&w, &try nibbles(case, case.out(at)));
    for (2..5) |at| try same(w[0], try case.vector(case.out(at), .f32));
}
