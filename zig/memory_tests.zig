//! The tests of the pool alone, for runs under the thread sanitizer and for long campaigns.

test {
    _ = @import("memory/address_map.zig");
    _ = @import("memory/arena.zig");
    _ = @import("memory/arena_index.zig");
    _ = @import("memory/bits.zig");
    _ = @import("memory/buddy_test.zig");
    _ = @import("memory/decay.zig");
    _ = @import("memory/direct.zig");
    _ = @import("memory/engine.zig");
    _ = @import("memory/explain.zig");
    _ = @import("memory/failure_test.zig");
    _ = @import("memory/hybrid_test.zig");
    _ = @import("memory/limit.zig");
    _ = @import("memory/meta.zig");
    _ = @import("memory/size_class.zig");
    _ = @import("memory/model_test.zig");
    _ = @import("memory/names.zig");
    _ = @import("memory/pool_handles.zig");
    _ = @import("memory/pool_tables.zig");
    _ = @import("memory/small_test.zig");
    _ = @import("memory/source.zig");
    _ = @import("memory/stress_test.zig");
    _ = @import("memory/tagged_allocator.zig");
    _ = @import("memory/thread_exit.zig");
    _ = @import("memory/thread_id.zig");
    _ = @import("memory/timeline.zig");
    _ = @import("memory/tracking.zig");
    _ = @import("memory/watch_test.zig");
}
