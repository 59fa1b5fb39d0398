//! How many bytes a matrix takes in each layout, and what an element of it is.
//! Formats: docs/formats.

const std = @import("std");
const abi = @import("../abi.zig");

pub const Error = error{InvalidProgram};

pub fn elementSize(dtype: abi.DType) u64 {
    return switch (dtype) {
        .i8, .u8, .bool => 1,
        .f16, .bf16, .i16 => 2,
        .f32, .i32, .u32 => 4,
        .f64 => 8,
    };
}

/// Rows of one tile of the `tile2` and `tile3` packings, and its bytes.
const tile_rows = 32;
const tile_size = 128;

/// Rows and columns that a plane of the `nibble4` packing is padded to; two columns share a byte.
pub const nibble_rows = 4;
pub const nibble_cols = 128;

const Block = struct { values: u64, size: u64 };

/// Formats that pack runs of a row.
pub fn rowBlock(layout: abi.Layout) ?Block {
    return switch (layout) {
        .tq1_0 => .{ .values = 256, .size = 54 },
        .tq2_0 => .{ .values = 256, .size = 66 },
        .q8_0 => .{ .values = 32, .size = 34 },
        .q4_0 => .{ .values = 32, .size = 18 },
        .q4_k => .{ .values = 256, .size = 144 },
        .q6_k => .{ .values = 256, .size = 210 },
        else => null,
    };
}

/// Bytes of a packed (rows, cols) matrix; extents that the format cannot hold are an error.
pub fn packedSize(layout: abi.Layout, rows: u64, cols: u64) Error!u64 {
    const count = std.math.mul(u64, rows, cols) catch return error.InvalidProgram;
    if (count > 1 << 48) return error.InvalidProgram;
    if (rowBlock(layout)) |block| {
        if (cols % block.values != 0) return error.InvalidProgram;
        return count / block.values * block.size;
    }
    switch (layout) {
        .tile2, .tile3 => {
            const tile_cols: u64 = if (layout == .tile2) 16 else 20;
            const tall = std.math.divCeil(u64, rows, tile_rows) catch unreachable;
            const wide = std.math.divCeil(u64, cols, tile_cols) catch unreachable;
            return tall * wide * tile_size;
        },
        .nibble4 => {
            const tall = std.math.divCeil(u64, rows, nibble_rows) catch unreachable;
            const wide = std.math.divCeil(u64, cols, nibble_cols) catch unreachable;
            return tall * wide * (nibble_rows * nibble_cols / 2);
        },
        .hf_ternary => return (std.math.divCeil(u64, rows, 4) catch unreachable) * cols,
        .i2_s_128, .i2_s_64 => {
            const block: u64 = if (layout == .i2_s_128) 128 else 64;
            if (count % block != 0) return error.InvalidProgram;
            return count / 4 + 32;
        },
        .i4 => return count / 2 + count % 2,
        else => return error.InvalidProgram,
    }
}

/// The dtype that a packed matrix stands for.
pub fn logicalDType(layout: abi.Layout) abi.DType {
    return switch (layout) {
        .nibble4 => .u8,
        .tile2, .tile3, .hf_ternary, .tq1_0, .tq2_0, .i2_s_128, .i2_s_64, .i4 => .i8,
        else => .f32,
    };
}
