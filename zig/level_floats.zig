//! The root of one object of kernels that need no integer products: compiled once for each width of
//! vectors, exported as one table under the width's name. Levels of one width share it.

const abi = @import("abi.zig");
const options = @import("level_options");
const level_table = @import("level_table.zig");
const task = @import("kernels/task.zig");

const table: level_table.Floats = blk: {
    @setEvalBranchQuota(100_000);
    var kernels: [level_table.op_count]?task.Kernel = undefined;
    for (0..level_table.op_count) |index| {
        const op: abi.Op = @enumFromInt(index);
        kernels[index] = if (level_table.isProduct(op)) null else kernelOf(op);
    }
    break :blk .{ .kernels = kernels };
};

fn kernelOf(comptime op: abi.Op) task.Kernel {
    const families = .{
        .{ @import("kernels/elementwise.zig"), "Operation" },
        .{ @import("kernels/unary.zig"), "Function" },
        .{ @import("kernels/reduce.zig"), "Operation" },
        .{ @import("kernels/arg_reduce.zig"), "Operation" },
        .{ @import("kernels/random.zig"), "Distribution" },
    };
    inline for (families) |family| {
        const Members = @field(family[0], family[1]);
        if (@hasField(Members, @tagName(op))) {
            return family[0].kernel(@field(Members, @tagName(op)));
        }
    }
    return switch (op) {
        .copy => @import("kernels/copy.zig").run,
        .softmax => @import("kernels/softmax.zig").run,
        .embedding => @import("kernels/embedding.zig").run,
        .rms_norm => @import("kernels/rms_norm.zig").run,
        .quantize_rows => @import("kernels/quantize_rows.zig").run,
        .rms_norm_quantize => @import("kernels/rms_norm_quantize.zig").run,
        .dense_matmul => @import("kernels/dense_matmul.zig").run,
        .rope_angles => @import("kernels/rope_angles.zig").run,
        .rope => @import("kernels/rope.zig").run,
        .kv_write => @import("kernels/kv_write.zig").run,
        .attention => @import("kernels/attention.zig").run,
        .gated_activation => @import("kernels/gated_activation.zig").run,
        .gather_rows => @import("kernels/gather_rows.zig").run,
        .sampling_probs => @import("kernels/sampling_probs.zig").run,
        .sample => @import("kernels/sample.zig").run,
        .emit => @import("kernels/emit.zig").run,
        .stop_when => @import("kernels/stop_when.zig").run,
        .abs_stats => @import("kernels/abs_stats.zig").run,
        .ternarize => @import("kernels/ternarize.zig").run,
        .unpack_ternary => @import("kernels/unpack_ternary.zig").run,
        .pack_tile2 => @import("kernels/pack_tiles.zig").run,
        .pack_tile3 => @import("kernels/pack_tiles.zig").run,
        .unpack_packed => @import("kernels/unpack_packed.zig").run,
        .pack_ternary => @import("kernels/pack_ternary.zig").run,
        .convert => @import("kernels/convert.zig").run,
        .matmul => @import("kernels/matmul.zig").run,
        .quantize_nibbles => @import("kernels/quantize_nibbles.zig").run,
        .cholesky => @import("kernels/cholesky.zig").run,
        .lu => @import("kernels/lu.zig").run,
        .solve => @import("kernels/solve.zig").run,
        .triangular_solve => @import("kernels/triangular_solve.zig").run,
        .qr => @import("kernels/qr.zig").run,
        .svd => @import("kernels/svd.zig").run,
        .eigh => @import("kernels/eigh.zig").run,
        .select => @import("kernels/select.zig").run,
        .cumulative_sum => @import("kernels/cumulative_sum.zig").run,
        .elementwise_chain => @import("kernels/elementwise_chain.zig").run,
        .take => @import("kernels/take.zig").run,
        .scatter_add => @import("kernels/scatter_add.zig").run,
        .place => @import("kernels/place.zig").run,
        .concat => @import("kernels/concat.zig").run,
        .sort => @import("kernels/sort.zig").run,
        else => @compileError("no kernel of " ++ @tagName(op)),
    };
}

comptime {
    @export(&table, .{ .name = "bn_floats_" ++ options.name, .visibility = .hidden });
}
