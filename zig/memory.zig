//! The memory system for programs beside the core: benches and campaigns.

pub const hybrid = @import("memory/hybrid.zig");
pub const pool_metrics = @import("memory/pool_metrics.zig");
pub const os = @import("threads/os.zig");
