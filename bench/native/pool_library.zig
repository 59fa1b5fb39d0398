//! The hybrid pool as a shared library of two functions, so that the bench calls it exactly as it
//! calls its rivals: through pointers from dlopen, built as the core is, without a C library.

const std = @import("std");
const memory = @import("memory");

const HybridMemoryPool = memory.hybrid.HybridMemoryPool;

var pool: ?*HybridMemoryPool = null;

/// Opens the pool; `level` is a tracking level by number.
export fn pool_open(level: u32) bool {
    pool = HybridMemoryPool.create(.{ .level = @enumFromInt(level) }) catch return false;
    return true;
}

export fn pool_close() bool {
    return pool.?.close();
}

export fn pool_allocate(size: usize) ?[*]u8 {
    if (pool.?.allocateReady(size, .untagged)) |block| return block.ptr;
    return allocateOther(size);
}

noinline fn allocateOther(size: usize) ?[*]u8 {
    const block = pool.?.allocate(.{ .size = size }) catch return null;
    return block.ptr;
}

export fn pool_free(block: [*]u8, size: usize) void {
    pool.?.free(block[0..size], .untagged) catch unreachable; // the bench frees what it has
}

/// Gives back what is free.
export fn pool_trim() void {
    pool.?.trim();
}
