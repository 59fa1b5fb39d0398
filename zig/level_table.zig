//! What an instruction-set level offers; each level's object exports one as `bn_level_<name>`.

const abi = @import("abi.zig");
const task = @import("kernels/task.zig");

pub const op_count = @typeInfo(abi.Op).@"enum".fields.len;

pub const LevelTable = extern struct {
    /// In the order of `abi.Op`.
    kernels: [op_count]task.Kernel,
    probe_read: *const fn (data: [*]const u8, size: usize) callconv(.c) u64,
    probe_int8: *const fn (iterations: u64) callconv(.c) u64,
    probe_f32: *const fn (iterations: u64) callconv(.c) u64,
};
