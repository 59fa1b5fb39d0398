//! The tests of the integer products, and of what packs for them: they hold one copy of the kernels
//! for every level that the machine runs, and take as long to compile as all others together.

test {
    _ = @import("kernels/dot.zig");
    _ = @import("kernels/head_refine.zig");
    _ = @import("kernels/int8_matmul.zig");
    _ = @import("kernels/quantize_nibbles.zig");
    _ = @import("kernels/ternarize.zig");
    _ = @import("kernels/ternary_matmul.zig");
    _ = @import("kernels/tile3.zig");
    _ = @import("kernels/unpack_ternary.zig");
}
