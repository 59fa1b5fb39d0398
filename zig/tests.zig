//! Gathers the tests that end the files of the core. Kernels are tested as Programs from
//! TypeScript, on every level; the tests in their files pin the arithmetic.

test {
    _ = @import("memory/handles.zig");
    _ = @import("memory/regions.zig");
    _ = @import("threads/pool.zig");
    _ = @import("threads/sync.zig");
}
