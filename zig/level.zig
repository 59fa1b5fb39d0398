//! The root of one instruction-set level's object: the kernels that live by its integer products,
//! and the probes, exported as one table under the level's name. The other kernels are in
//! level_floats.zig.

const abi = @import("abi.zig");
const options = @import("level_options");
const level_table = @import("level_table.zig");
const task = @import("kernels/task.zig");

/// Read by dot.zig: the level whose dot products are plain code.
pub const bn_force_scalar = options.force_scalar;

const table: level_table.Products = .{
    .kernels = blk: {
        var kernels: [level_table.products.len]task.Kernel = undefined;
        for (level_table.products, &kernels) |op, *kernel| kernel.* = kernelOf(op);
        break :blk kernels;
    },
    .probe_read = @import("kernels/probe.zig").probeRead,
    .probe_stream = @import("kernels/probe.zig").probeStream,
    .probe_int8 = @import("kernels/probe.zig").probeInt8,
    .probe_f32 = @import("kernels/probe.zig").probeF32,
};

fn kernelOf(comptime op: abi.Op) task.Kernel {
    return switch (op) {
        .ternary_matmul => @import("kernels/ternary_matmul.zig").run,
        .int8_matmul => @import("kernels/int8_matmul.zig").run,
        .head_screen => @import("kernels/head_screen.zig").run,
        .head_refine => @import("kernels/head_refine.zig").run,
        else => @compileError(@tagName(op) ++ " is in level_floats.zig"),
    };
}

comptime {
    @export(&table, .{ .name = "bn_level_" ++ options.name, .visibility = .hidden });
}
