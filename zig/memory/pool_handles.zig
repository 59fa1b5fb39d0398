//! Numbers that stand for pools across the boundary. A pool ends with the last of its holders; a
//! holder uses its handle only while it holds, so that looking one up takes two loads and no lock.

const std = @import("std");
const engine = @import("engine.zig");
const hybrid = @import("hybrid.zig");
const Mutex = @import("../threads/sync.zig").Mutex;

const HybridMemoryPool = hybrid.HybridMemoryPool;

/// The engine's own pool, which nobody holds and nobody ends.
const engine_handle = 0;
const index_bits = 10;
pub const count_max = 1 << index_bits;

const Slot = struct {
    /// 0 while no pool is in it.
    handle: std.atomic.Value(u32) = .init(0),
    pool: *HybridMemoryPool = undefined,
    holders: u32 = 0,
    /// Of the next pool; a handle is used once, until these run out.
    generation: u32 = 1,
};

var mutex: Mutex = .{};
var slots: [count_max]Slot = @splat(.{});

/// A new pool with one holder.
pub fn create(options: hybrid.Options) error{ OutOfMemory, TooManyPools }!u32 {
    mutex.lock();
    defer mutex.unlock();
    const index = for (&slots, 0..) |*slot, index| {
        if (slot.holders == 0) break index;
    } else return error.TooManyPools;
    const slot = &slots[index];
    slot.pool = try .create(options);
    slot.holders = 1;
    const handle = slot.generation << index_bits | @as(u32, @intCast(index));
    slot.handle.store(handle, .release);
    return handle;
}

/// The pool of a handle that the caller holds, the engine's for 0; null for any other number.
pub inline fn find(handle: u32) ?*HybridMemoryPool {
    if (handle == engine_handle) return engine.pool() catch null;
    const slot = &slots[handle % count_max];
    return if (slot.handle.load(.acquire) == handle) slot.pool else null;
}

fn findHeld(handle: u32) error{InvalidHandle}!*HybridMemoryPool {
    if (handle == engine_handle) return error.InvalidHandle;
    return find(handle) orelse error.InvalidHandle;
}

pub fn hold(handle: u32) error{InvalidHandle}!void {
    mutex.lock();
    defer mutex.unlock();
    _ = try findHeld(handle);
    slots[handle % count_max].holders += 1;
}

/// Ends one hold, and with the last one the pool and every block in it.
pub fn release(handle: u32) error{InvalidHandle}!void {
    mutex.lock();
    defer mutex.unlock();
    const pool = try findHeld(handle);
    const slot = &slots[handle % count_max];
    slot.holders -= 1;
    if (slot.holders > 0) return;
    slot.handle.store(0, .release);
    const generation_max = std.math.maxInt(u32) >> index_bits;
    slot.generation = if (slot.generation == generation_max) 1 else slot.generation + 1;
    pool.destroy();
}

/// As `hold` and `release`, for those who do the same with the engine's pool, which needs neither.
pub fn keep(handle: u32) error{InvalidHandle}!void {
    if (handle != engine_handle) try hold(handle);
}

pub fn drop(handle: u32) void {
    if (handle != engine_handle) release(handle) catch unreachable; // `keep` came before
}

test "pool handles: a pool lives until its last holder is gone, and stale handles find nothing" {
    const handle = try create(.{});
    const pool = find(handle).?;
    const memory = try pool.allocate(.{ .size = 100 });
    try hold(handle);
    try release(handle);
    memory[99] = 1;
    try release(handle);
    try std.testing.expectEqual(null, find(handle));
    try std.testing.expectError(error.InvalidHandle, release(handle));
    try std.testing.expectError(error.InvalidHandle, hold(engine_handle));
    try std.testing.expectEqual(try engine.pool(), find(engine_handle).?);
    const next = try create(.{});
    try std.testing.expect(next != handle);
    try release(next);
}
