//! What the objects of kernels offer: `bn_level_<name>` of an instruction-set level, and
//! `bn_floats_<width>` of a width of vectors, which several levels share.

const abi = @import("abi.zig");
const task = @import("kernels/task.zig");

pub const op_count = @typeInfo(abi.Op).@"enum".fields.len;

/// Ops that are compiled for every level, because integer products are what levels differ in. All
/// others depend on the width of vectors alone.
pub const products = [_]abi.Op{ .ternary_matmul, .int8_matmul, .head_screen, .head_refine };

pub fn isProduct(op: abi.Op) bool {
    for (products) |product| if (product == op) return true;
    return false;
}

pub const Products = extern struct {
    /// In the order of `products`.
    kernels: [products.len]task.Kernel,
    probe_read: *const fn (data: [*]const u8, size: usize) callconv(.c) u64,
    probe_stream: *const fn (
        source: [*]const u8,
        read_size: usize,
        target: [*]u8,
        write_size: usize,
        past_caches: bool,
    ) callconv(.c) u64,
    probe_int8: *const fn (iterations: u64) callconv(.c) u64,
    probe_f32: *const fn (iterations: u64) callconv(.c) u64,
};

pub const Floats = extern struct {
    /// In the order of `abi.Op`; null for `products`.
    kernels: [op_count]?task.Kernel,
};
