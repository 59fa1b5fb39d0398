//! Files mapped into memory, read-only or copy-on-write, with advice about their pages. The file
//! stays open as long as the mapping: its size is asked anew before each use, whatever its path
//! names by then. A page that is read after the file has shrunk below it ends the process on Linux
//! and macOS; Windows lets nobody shrink a mapped file.

const std = @import("std");
const builtin = @import("builtin");
const files = @import("files.zig");
const system_pages = @import("system_pages.zig");

const linux = std.os.linux;
const native_os = builtin.os.tag;

pub const Error = error{MapFailed} || files.Error;

/// What may be done with the bytes. Changes to a copy stay in this mapping.
pub const Mode = enum(u32) { read_only, copy_on_write };

/// How pages of a mapped file will be used. `will_need` begins to read them, without waiting;
/// `cold` lets them leave memory until they are used again, changed copies excepted.
pub const Advice = enum(u32) { normal, sequential, random, will_need, cold };

/// Where a part of a file may begin to be mapped: what Windows asks for, and more than others do.
pub const offset_alignment = 1 << 16;

/// Bytes of a file; `offset` is a multiple of `offset_alignment`.
pub const Part = struct { path: []const u8, offset: u64, size: usize };

pub const Memory = []align(std.heap.page_size_min) u8;

pub const Mapping = struct {
    file: files.File,
    /// Of the memory's first byte in the file.
    offset: u64,
    memory: Memory,
    mode: Mode,

    /// A part of a file, which must hold all of it.
    pub fn open(part: Part, mode: Mode) Error!Mapping {
        if (part.size == 0 or part.offset % offset_alignment != 0) return error.MapFailed;
        const file = try files.File.open(part.path);
        errdefer file.close();
        if (try file.size() < part.offset + part.size) return error.FileTruncated;
        const memory = map(file, part, mode) orelse return error.MapFailed;
        return .{ .file = file, .offset = part.offset, .memory = memory, .mode = mode };
    }

    pub fn close(mapping: Mapping) void {
        unmap(mapping.memory);
        mapping.file.close();
    }

    /// An error if the file has become too short for the mapping.
    pub fn check(mapping: Mapping) files.Error!void {
        const end = mapping.offset + mapping.memory.len;
        if (try mapping.file.size() < end) return error.FileTruncated;
    }

    /// Advice for the pages around `size` bytes from `offset` on, which lie in the mapping.
    pub fn advise(mapping: Mapping, advice: Advice, offset: usize, size: usize) void {
        const page_size = std.heap.pageSize();
        const start = std.mem.alignBackward(usize, offset, page_size);
        const pages = mapping.memory[start .. offset + size];
        if (pages.len == 0) return;
        switch (native_os) {
            .linux => _ = linux.madvise(pages.ptr, pages.len, mapping.linuxAdvice(advice)),
            .windows => adviseWindows(pages, advice),
            // The numbers of Linux, and `cold` never drops a changed copy.
            else => _ = system_pages.madvise(pages.ptr, pages.len, @intCast(linuxNumber(advice))),
        }
    }

    fn linuxAdvice(mapping: Mapping, advice: Advice) u32 {
        // Changed pages of a copy would be lost.
        if (advice == .cold and mapping.mode == .copy_on_write) return linux.MADV.COLD;
        return linuxNumber(advice);
    }
};

fn linuxNumber(advice: Advice) u32 {
    return switch (advice) {
        .normal => linux.MADV.NORMAL,
        .sequential => linux.MADV.SEQUENTIAL,
        .random => linux.MADV.RANDOM,
        .will_need => linux.MADV.WILLNEED,
        .cold => linux.MADV.DONTNEED,
    };
}

fn adviseWindows(pages: []u8, advice: Advice) void {
    switch (advice) {
        .will_need => {
            const range: MemoryRange = .{ .address = pages.ptr, .size = pages.len };
            _ = PrefetchVirtualMemory(GetCurrentProcess(), 1, &range, 0);
        },
        // Pages that were not locked leave the working set.
        .cold => _ = VirtualUnlock(pages.ptr, pages.len),
        .normal, .sequential, .random => {},
    }
}

fn map(file: files.File, part: Part, mode: Mode) ?Memory {
    const size = part.size;
    const is_copy = mode == .copy_on_write;
    switch (native_os) {
        .linux => {
            const rc = linux.mmap(
                null,
                size,
                .{ .READ = true, .WRITE = is_copy },
                .{ .TYPE = if (is_copy) .PRIVATE else .SHARED },
                @intCast(file.handle),
                @intCast(part.offset),
            );
            if (linux.errno(rc) != .SUCCESS) return null;
            return @as([*]align(std.heap.page_size_min) u8, @ptrFromInt(rc))[0..size];
        },
        .windows => {
            const handle: *anyopaque = @ptrFromInt(file.handle);
            const protection: u32 = if (is_copy) page_writecopy else page_readonly;
            const mapping = CreateFileMappingW(handle, null, protection, 0, 0, null) orelse
                return null;
            defer _ = CloseHandle(mapping);
            const access: u32 = if (is_copy) file_map_copy else file_map_read;
            const high: u32 = @intCast(part.offset >> 32);
            const low: u32 = @truncate(part.offset);
            const raw = MapViewOfFile(mapping, access, high, low, size) orelse return null;
            return @as([*]align(std.heap.page_size_min) u8, @ptrCast(@alignCast(raw)))[0..size];
        },
        else => {
            const protection: c_int = if (is_copy) 3 else 1;
            const flags: c_int = if (is_copy) 2 else 1;
            const start: i64 = @intCast(part.offset);
            const descriptor: c_int = @intCast(file.handle);
            const raw = system_pages.mmap(null, size, protection, flags, descriptor, start);
            if (@intFromPtr(raw) == std.math.maxInt(usize)) return null;
            return @as([*]align(std.heap.page_size_min) u8, @ptrCast(@alignCast(raw.?)))[0..size];
        },
    }
}

fn unmap(memory: Memory) void {
    switch (native_os) {
        .linux => _ = linux.munmap(memory.ptr, memory.len),
        .windows => _ = UnmapViewOfFile(memory.ptr),
        else => _ = system_pages.munmap(memory.ptr, memory.len),
    }
}

const MemoryRange = extern struct { address: *anyopaque, size: usize };

const page_readonly: u32 = 2;
const page_writecopy: u32 = 8;
const file_map_copy: u32 = 1;
const file_map_read: u32 = 4;

extern "kernel32" fn CreateFileMappingW(
    file: *anyopaque,
    security: ?*anyopaque,
    protection: u32,
    size_high: u32,
    size_low: u32,
    name: ?[*:0]const u16,
) callconv(.winapi) ?*anyopaque;
extern "kernel32" fn MapViewOfFile(
    mapping: *anyopaque,
    access: u32,
    offset_high: u32,
    offset_low: u32,
    size: usize,
) callconv(.winapi) ?*anyopaque;
extern "kernel32" fn UnmapViewOfFile(address: *anyopaque) callconv(.winapi) c_int;
extern "kernel32" fn CloseHandle(handle: *anyopaque) callconv(.winapi) c_int;
extern "kernel32" fn VirtualUnlock(address: *anyopaque, size: usize) callconv(.winapi) c_int;
extern "kernel32" fn GetCurrentProcess() callconv(.winapi) *anyopaque;
extern "kernel32" fn PrefetchVirtualMemory(
    process: *anyopaque,
    count: usize,
    ranges: *const MemoryRange,
    flags: u32,
) callconv(.winapi) c_int;
