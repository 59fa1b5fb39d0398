//! Gathers the tests that end the files of the core, with product_tests.zig, which compiles beside
//! it; test/native/zig-tests.test.ts sees to it that none is left out. Kernels are tested as
//! Programs from TypeScript too, on every level.

test {
    _ = @import("kernels/abs_stats.zig");
    _ = @import("kernels/arg_reduce.zig");
    _ = @import("kernels/attention.zig");
    _ = @import("kernels/block_sizes.zig");
    _ = @import("kernels/blocks.zig");
    _ = @import("kernels/cast.zig");
    _ = @import("kernels/convert.zig");
    _ = @import("kernels/copy.zig");
    _ = @import("kernels/concat.zig");
    _ = @import("kernels/stream.zig");
    _ = @import("kernels/cumulative_sum.zig");
    _ = @import("kernels/dense_matmul.zig");
    _ = @import("kernels/elementwise.zig");
    _ = @import("kernels/elementwise_chain.zig");
    _ = @import("kernels/embedding.zig");
    _ = @import("kernels/emit.zig");
    _ = @import("kernels/functions.zig");
    _ = @import("kernels/gated_activation.zig");
    _ = @import("kernels/gather_rows.zig");
    _ = @import("kernels/kv_write.zig");
    _ = @import("kernels/lanes.zig");
    _ = @import("kernels/pack_ternary.zig");
    _ = @import("kernels/matmul.zig");
    _ = @import("kernels/packing_planes.zig");
    _ = @import("kernels/philox.zig");
    _ = @import("kernels/place.zig");
    _ = @import("kernels/probe.zig");
    _ = @import("kernels/quantize_rows.zig");
    _ = @import("kernels/random.zig");
    _ = @import("kernels/reduce.zig");
    _ = @import("kernels/rms_norm.zig");
    _ = @import("kernels/rms_norm_quantize.zig");
    _ = @import("kernels/rope.zig");
    _ = @import("kernels/rope_angles.zig");
    _ = @import("kernels/sample.zig");
    _ = @import("kernels/sampling_filters.zig");
    _ = @import("kernels/sampling_probs.zig");
    _ = @import("kernels/scatter_add.zig");
    _ = @import("kernels/select.zig");
    _ = @import("kernels/softmax.zig");
    _ = @import("kernels/sort.zig");
    _ = @import("kernels/stop_when.zig");
    _ = @import("kernels/strided.zig");
    _ = @import("kernels/task.zig");
    _ = @import("kernels/take.zig");
    _ = @import("kernels/testing.zig");
    _ = @import("kernels/unpack_packed.zig");
    _ = @import("kernels/unary.zig");
    _ = @import("linalg/rotations.zig");
    _ = @import("linalg/vectors.zig");
    _ = @import("memory/handles.zig");
    _ = @import("memory/regions.zig");
    _ = @import("memory/system_memory.zig");
    _ = @import("memory_tests.zig");
    _ = @import("program/reach.zig");
    _ = @import("threads/pool.zig");
    _ = @import("threads/sync.zig");
}
