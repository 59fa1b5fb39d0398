//! What `elementwise_chain` asks: equal extents of all operands, and steps that read only inputs
//! there are and registers that were written, of dtypes that their operation takes.

const std = @import("std");
const abi = @import("../abi.zig");
const case_types = @import("case.zig");
const chain = @import("../kernels/elementwise_chain.zig");

const Case = case_types.Case;
const ChainOp = chain.ChainOp;
const DType = abi.DType;
const Error = case_types.Error;
const Plain = abi.Plain;
const require = case_types.require;

const place_count = chain.input_count_max + chain.register_count_max;

pub fn check(case: Case) Error!void {
    try case.counts(case.inputs.len, 1);
    try require(case.inputs.len >= 1 and case.inputs.len <= chain.input_count_max);
    const y = case.out(0);
    const dtype = case.blob.dtype(y);
    const dims = try case.strided(y, dtype, y.rank);
    // By what a step may read: inputs, then registers.
    var dtypes: [place_count]?DType = @splat(null);
    for (0..case.inputs.len) |index| {
        const x = case.in(index);
        dtypes[index] = case.blob.dtype(x);
        try case_types.sameAll(dims, try case.strided(x, case.blob.dtype(x), y.rank));
    }
    const count = case.attrs[0];
    try require(count >= 1 and count <= chain.step_count_max);
    for (case.attrs[1..][0..count]) |word| {
        const step: chain.Step = @bitCast(word);
        const result = try checkStep(step, &dtypes);
        dtypes[chain.input_count_max + step.to] = result;
    }
    const last: chain.Step = @bitCast(case.attrs[count]);
    try require(dtypes[chain.input_count_max + last.to] == dtype);
}

/// The dtype that a step leaves.
fn checkStep(step: chain.Step, dtypes: *const [place_count]?DType) Error!DType {
    try require(step.op < @typeInfo(ChainOp).@"enum".fields.len and step.reserved == 0);
    try require(step.to < chain.register_count_max);
    try require(step.dtype < @typeInfo(DType).@"enum".fields.len);
    const op: ChainOp = @enumFromInt(step.op);
    const result: DType = @enumFromInt(step.dtype);
    var of: [3]DType = undefined;
    for (step.operands(), &of, 0..) |operand, *dtype, index| {
        if (index >= op.operandCount()) {
            try require(operand == 0);
            continue;
        }
        dtype.* = dtypes[operand] orelse return error.InvalidProgram;
        // An element is written where one of the same index, and no other, has been read.
        const register = chain.input_count_max + @as(usize, step.to);
        try require(operand != register or dtype.* == result);
    }
    switch (op) {
        .select => try require(of[0] == .bool and of[1] == result and of[2] == result),
        .copy => {
            const castable = Plain.of(of[0], .strided) != null and
                Plain.of(result, .strided) != null;
            try require(of[0] == result or castable);
        },
        .neg, .abs => try require(isComputed(result) and of[0] == result),
        else => {
            if (op.operandCount() == 2) {
                try require(isComputed(of[0]) and of[0] == of[1]);
                try require(result == if (op.compares()) DType.bool else of[0]);
            } else {
                try require(isComputed(result) and result != .i32 and of[0] == result);
            }
        },
    }
    return result;
}

fn isComputed(dtype: DType) bool {
    return dtype == .f32 or dtype == .f64 or dtype == .i32;
}
