//! Whole pages from the operating system, zeroed, and advice about them.

const std = @import("std");
const builtin = @import("builtin");

const linux = std.os.linux;
const native_os = builtin.os.tag;

/// How memory will be used: all of it soon, or bit by bit, where a huge page would take more than
/// what is touched.
pub const Use = enum { dense, sparse };

/// Page-aligned, zero-filled memory; null when the system has none left.
pub fn allocate(size: usize, use: Use) ?[]align(std.heap.page_size_min) u8 {
    std.debug.assert(size > 0);
    switch (native_os) {
        .linux => {
            const rc = linux.mmap(
                null,
                size,
                .{ .READ = true, .WRITE = true },
                .{ .TYPE = .PRIVATE, .ANONYMOUS = true, .NORESERVE = true },
                -1,
                0,
            );
            if (linux.errno(rc) != .SUCCESS) return null;
            const memory = @as([*]align(std.heap.page_size_min) u8, @ptrFromInt(rc))[0..size];
            if (use == .dense and size >= huge_page_size) {
                _ = linux.madvise(memory.ptr, size, linux.MADV.HUGEPAGE);
            }
            return memory;
        },
        .windows => {
            const raw = VirtualAlloc(null, size, mem_reserve | mem_commit, page_readwrite) orelse
                return null;
            return @as([*]align(std.heap.page_size_min) u8, @ptrCast(@alignCast(raw)))[0..size];
        },
        else => {
            const raw = mmap(null, size, prot_read_write, map_private_anonymous, -1, 0);
            if (@intFromPtr(raw) == std.math.maxInt(usize)) return null;
            return @as([*]align(std.heap.page_size_min) u8, @ptrCast(@alignCast(raw.?)))[0..size];
        },
    }
}

pub fn free(memory: []align(std.heap.page_size_min) u8) void {
    switch (native_os) {
        .linux => _ = linux.munmap(memory.ptr, memory.len),
        .windows => _ = VirtualFree(memory.ptr, 0, mem_release),
        else => _ = munmap(memory.ptr, memory.len),
    }
}

/// Gives whole pages within `memory` back to the system, which may be read and written again, and
/// tells their bytes. What they hold then is not defined.
pub fn discard(memory: []u8) usize {
    const page_size = std.heap.pageSize();
    const start = std.mem.alignForward(usize, @intFromPtr(memory.ptr), page_size);
    const end = std.mem.alignBackward(usize, @intFromPtr(memory.ptr) + memory.len, page_size);
    if (end <= start) return 0;
    const whole: [*]u8 = @ptrFromInt(start);
    switch (native_os) {
        .linux => _ = linux.madvise(whole, end - start, linux.MADV.DONTNEED),
        .windows => _ = DiscardVirtualMemory(whole, end - start),
        else => _ = madvise(whole, end - start, madv_free),
    }
    return end - start;
}

const huge_page_size = 2 << 20;
const mem_commit: u32 = 0x1000;
const mem_reserve: u32 = 0x2000;
const mem_release: u32 = 0x8000;
const page_readwrite: u32 = 4;
const prot_read_write: c_int = 3;
const map_private_anonymous: c_int = 0x1002;
const madv_free: c_int = 5;

extern fn mmap(
    hint: ?*anyopaque,
    size: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) ?*anyopaque;
extern fn munmap(address: *anyopaque, size: usize) c_int;
extern fn madvise(address: *const anyopaque, size: usize, advice: c_int) c_int;
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
