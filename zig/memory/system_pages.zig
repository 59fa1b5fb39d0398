//! Address space from the operating system, in three steps that every system has in some form:
//! map (addresses), commit (usable, zeroed), discard (given back, addresses kept).

const std = @import("std");
const builtin = @import("builtin");

const linux = std.os.linux;
const native_os = builtin.os.tag;
const page_size = std.heap.page_size_max;

/// Zeroed address space at a multiple of `alignment`, a power of two; null when there is none.
pub fn map(size: usize, alignment: usize) ?[*]u8 {
    std.debug.assert(size > 0 and std.math.isPowerOfTwo(alignment));
    if (native_os == .windows) return mapWindows(size, alignment);
    // What lies below an aligned mapping is often free and aligned too.
    const first = mapAnywhere(size) orelse return null;
    if (@intFromPtr(first) % alignment == 0) return first;
    unmap(first, size);
    const wide_size = std.math.add(usize, size, alignment) catch return null;
    const wide = mapAnywhere(wide_size) orelse return null;
    const start = std.mem.alignForward(usize, @intFromPtr(wide), alignment);
    const before = start - @intFromPtr(wide);
    if (before > 0) unmap(wide, before);
    const after = wide_size - before - size;
    if (after > 0) unmap(wide + before + size, after);
    return wide + before;
}

fn mapAnywhere(size: usize) ?[*]u8 {
    if (native_os == .linux) {
        const rc = linux.mmap(
            null,
            size,
            .{ .READ = true, .WRITE = true },
            .{ .TYPE = .PRIVATE, .ANONYMOUS = true, .NORESERVE = true },
            -1,
            0,
        );
        return if (linux.errno(rc) == .SUCCESS) @ptrFromInt(rc) else null;
    }
    const raw = mmap(null, size, prot_read_write, map_private_anonymous, -1, 0);
    return if (@intFromPtr(raw) == std.math.maxInt(usize)) null else @ptrCast(raw.?);
}

fn mapWindows(size: usize, alignment: usize) ?[*]u8 {
    // Windows cannot cut a reservation: find a hole that is wide enough, then ask for its aligned
    // part. Another thread may take it in between.
    for (0..8) |_| {
        const wide = VirtualAlloc(null, size + alignment, mem_reserve, page_readwrite) orelse
            return null;
        const start = std.mem.alignForward(usize, @intFromPtr(wide), alignment);
        _ = VirtualFree(wide, 0, mem_release);
        const hint: *anyopaque = @ptrFromInt(start);
        if (VirtualAlloc(hint, size, mem_reserve, page_readwrite)) |raw| return @ptrCast(raw);
    }
    return null;
}

pub fn unmap(memory: [*]u8, size: usize) void {
    switch (native_os) {
        .linux => _ = linux.munmap(memory, size),
        .windows => _ = VirtualFree(memory, 0, mem_release),
        else => _ = munmap(memory, size),
    }
}

pub fn commit(memory: [*]u8, size: usize) bool {
    if (native_os != .windows) return true;
    return VirtualAlloc(memory, size, mem_commit, page_readwrite) != null;
}

pub fn discard(memory: [*]u8, size: usize) void {
    switch (native_os) {
        .linux => _ = linux.madvise(memory, size, linux.MADV.DONTNEED),
        .windows => _ = VirtualFree(memory, size, mem_decommit),
        // Advice does not promise zeros on macOS; a new mapping in place does.
        else => _ = mmap(memory, size, prot_read_write, map_private_anonymous | map_fixed, -1, 0),
    }
}

/// Gives whole pages within `memory` back to the system, which may be read and written again, and
/// tells their bytes. What they hold then is not defined.
pub fn discardWithin(memory: []u8) usize {
    const own_size = std.heap.pageSize();
    const start = std.mem.alignForward(usize, @intFromPtr(memory.ptr), own_size);
    const end = std.mem.alignBackward(usize, @intFromPtr(memory.ptr) + memory.len, own_size);
    if (end <= start) return 0;
    const whole: [*]u8 = @ptrFromInt(start);
    switch (native_os) {
        .linux => _ = linux.madvise(whole, end - start, linux.MADV.DONTNEED),
        .windows => _ = DiscardVirtualMemory(whole, end - start),
        else => _ = madvise(whole, end - start, advice_free),
    }
    return end - start;
}

pub fn adviseHuge(memory: [*]u8, size: usize, huge: bool) void {
    if (native_os != .linux) return;
    _ = linux.madvise(memory, size, if (huge) linux.MADV.HUGEPAGE else linux.MADV.NOHUGEPAGE);
}

/// A size in whole pages of the largest kind this target may have.
pub fn roundUp(size: usize) usize {
    return std.mem.alignForward(usize, size, page_size);
}

const mem_commit: u32 = 0x1000;
const mem_reserve: u32 = 0x2000;
const mem_decommit: u32 = 0x4000;
const mem_release: u32 = 0x8000;
const page_readwrite: u32 = 4;
const prot_read_write: c_int = 3;
const map_fixed: c_int = 0x10;
const map_private_anonymous: c_int = 0x1002;
const advice_free: c_int = 5;

/// The system's own calls where there is a C library; mapping.zig makes them too.
pub extern fn mmap(
    hint: ?*anyopaque,
    size: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) ?*anyopaque;
pub extern fn munmap(address: *anyopaque, size: usize) c_int;
pub extern fn madvise(address: *const anyopaque, size: usize, advice: c_int) c_int;
extern "kernel32" fn DiscardVirtualMemory(address: *anyopaque, size: usize) callconv(.winapi) u32;
extern "kernel32" fn VirtualAlloc(
    address: ?*anyopaque,
    size: usize,
    kind: u32,
    protection: u32,
) callconv(.winapi) ?*anyopaque;
extern "kernel32" fn VirtualFree(
    address: *anyopaque,
    size: usize,
    kind: u32,
) callconv(.winapi) c_int;
