//! One instruction under check and what rules ask of its operands: count, rank, dtype, layout, and
//! extents as symbols.

const abi = @import("../abi.zig");
const blob_format = @import("blob.zig");
const validation = @import("validate.zig");

const Dim = abi.Dim;
const DType = abi.DType;

pub const Error = error{InvalidProgram};

/// One instruction under check.
pub const Case = struct {
    blob: *const blob_format.Blob,
    inputs: []const u32,
    outputs: []const u32,
    attrs: []const u32,

    pub fn counts(case: Case, inputs: usize, outputs: usize) Error!void {
        try require(case.inputs.len == inputs and case.outputs.len == outputs);
    }

    pub fn in(case: Case, index: usize) abi.Slot {
        return case.blob.slots[case.inputs[index]];
    }

    pub fn out(case: Case, index: usize) abi.Slot {
        return case.blob.slots[case.outputs[index]];
    }

    /// A strided, aligned operand of one dtype; its dims.
    pub fn strided(case: Case, slot: abi.Slot, dtype: DType, rank: u8) Error![]const Dim {
        try require(case.blob.layout(slot) == .strided and case.blob.dtype(slot) == dtype);
        try require(slot.rank == rank and validation.aligned(case.blob, slot));
        return case.blob.slotDims(slot);
    }

    /// A vector without gaps.
    pub fn vector(case: Case, slot: abi.Slot, dtype: DType) Error!Dim {
        const dims = try case.strided(slot, dtype, 1);
        try require(case.blob.slotStrides(slot)[0] == 1);
        return dims[0];
    }

    /// Rows of adjacent elements: (rows, columns) with any forward row stride.
    pub fn rows(case: Case, slot: abi.Slot, dtype: DType) Error![2]Dim {
        const dims = try case.strided(slot, dtype, 2);
        const strides = case.blob.slotStrides(slot);
        try require(strides[1] == 1 and strides[0] >= 0);
        return dims[0..2].*;
    }

    /// Rows of adjacent elements along the last of two axes or more; the others by any strides.
    pub fn rowsOfAny(case: Case, slot: abi.Slot, dtype: DType) Error![]const Dim {
        try require(slot.rank >= 2);
        const dims = try case.strided(slot, dtype, slot.rank);
        try require(case.blob.slotStrides(slot)[slot.rank - 1] == 1);
        return dims;
    }

    /// (rows, heads, width) with adjacent elements and forward strides.
    pub fn heads(case: Case, slot: abi.Slot) Error![3]Dim {
        const dims = try case.strided(slot, .f32, 3);
        const strides = case.blob.slotStrides(slot);
        try require(strides[2] == 1 and strides[1] >= 0 and strides[0] >= 0);
        return dims[0..3].*;
    }

    /// A matrix of weights that may lie unaligned, in floats or in a block format.
    pub fn weights(case: Case, slot: abi.Slot) Error![2]Dim {
        try require(slot.rank == 2);
        const dims = case.blob.slotDims(slot);
        switch (case.blob.layout(slot)) {
            .strided => {
                try require(isFloat(case.blob.dtype(slot)));
                const strides = case.blob.slotStrides(slot);
                try require(strides[1] == 1 and strides[0] >= 0);
            },
            .q8_0, .q4_0, .q4_k, .q6_k => {},
            else => return error.InvalidProgram,
        }
        return dims[0..2].*;
    }

    /// Pages of a cache, without gaps.
    pub fn pages(case: Case, slot: abi.Slot) Error![4]Dim {
        const dtype = case.blob.dtype(slot);
        try require(dtype == .f32 or dtype == .f16);
        const dims = try case.strided(slot, dtype, 4);
        try require(validation.contiguous(case.blob, slot));
        return dims[0..4].*;
    }

    /// Whether a packed operand may be read as whole vectors.
    pub fn tileAligned(case: Case, slot: abi.Slot) bool {
        return slot.offset % 64 == 0 and case.blob.regions[slot.region].alignment == 64;
    }

    /// What sampling goes by, from input `first` on: parameters, history and its lengths.
    pub fn samplingState(case: Case, first: usize, sequences: Dim) Error!void {
        const params = try case.rows(case.in(first), .f32);
        const columns = @typeInfo(abi.SamplingColumn).@"enum".fields.len;
        try require(try constant(params[1]) == columns);
        const history = try case.rows(case.in(first + 1), .i32);
        const lengths = try case.vector(case.in(first + 2), .i32);
        for ([_]Dim{ params[0], history[0], lengths }) |dim| try same(sequences, dim);
    }
};

pub fn require(ok: bool) Error!void {
    if (!ok) return error.InvalidProgram;
}

pub fn flag(word: u32) Error!u1 {
    return if (word <= 1) @intCast(word) else error.InvalidProgram;
}

pub fn same(a: Dim, b: Dim) Error!void {
    try require(a.sym == b.sym and a.mul == b.mul and a.add == b.add);
}

pub fn sameAll(a: []const Dim, b: []const Dim) Error!void {
    try require(a.len == b.len);
    for (a, b) |x, y| try same(x, y);
}

/// Extents added up: constants, and multiples of one symbol.
pub const Sum = struct {
    sym: u16 = abi.no_sym,
    mul: u64 = 0,
    constant: i64 = 0,

    pub fn add(sum: *Sum, dim: Dim) Error!void {
        if (dim.sym != abi.no_sym) {
            try require(sum.sym == abi.no_sym or sum.sym == dim.sym);
            sum.sym = dim.sym;
        }
        sum.mul += dim.mul;
        sum.constant += blob_format.constantOf(dim);
    }

    pub fn is(sum: Sum, dim: Dim) bool {
        const is_same = dim.sym == sum.sym and dim.mul == sum.mul;
        return is_same and blob_format.constantOf(dim) == sum.constant;
    }
};

pub fn constant(dim: Dim) Error!u32 {
    try require(dim.sym == abi.no_sym);
    return dim.add;
}

pub fn evenHalf(dim: Dim) Error!Dim {
    const width = try constant(dim);
    try require(width % 2 == 0);
    return .{ .sym = abi.no_sym, .reserved = 0, .mul = 0, .add = width / 2 };
}

pub fn isFloat(dtype: DType) bool {
    return switch (dtype) {
        .f32, .f16, .bf16 => true,
        else => false,
    };
}
