//! An allocator under measurement: two function pointers, found in a shared library or, where it
//! was preloaded in place of the C library's own, under the standard names.

const std = @import("std");

pub const Subject = struct {
    allocateRaw: *const fn (usize) callconv(.c) ?[*]u8,
    freeRaw: *const fn ([*]u8, usize) callconv(.c) void,

    /// `free` of rivals takes one argument and does not see the second.
    pub fn preloaded(mark: [*:0]const u8) error{NoLibrary}!Subject {
        if (std.c.dlsym(null, mark) == null) return error.NoLibrary;
        return .{
            .allocateRaw = @ptrCast(std.c.dlsym(null, "malloc").?),
            .freeRaw = @ptrCast(std.c.dlsym(null, "free").?),
        };
    }

    /// The hybrid pool from its library, at a tracking level by number.
    pub fn pool(library: [*:0]const u8, level: u32) error{NoLibrary}!Subject {
        const handle = std.c.dlopen(library, .{ .NOW = true }) orelse return error.NoLibrary;
        const open: *const fn (u32) callconv(.c) bool =
            @ptrCast(std.c.dlsym(handle, "pool_open") orelse return error.NoLibrary);
        if (!open(level)) return error.NoLibrary;
        return .{
            .allocateRaw = @ptrCast(std.c.dlsym(handle, "pool_allocate").?),
            .freeRaw = @ptrCast(std.c.dlsym(handle, "pool_free").?),
        };
    }

    pub inline fn allocate(subject: *const Subject, size: usize) []u8 {
        const memory = subject.allocateRaw(size) orelse @panic("out of memory");
        return memory[0..size];
    }

    pub inline fn free(subject: *const Subject, block: []u8) void {
        subject.freeRaw(block.ptr, block.len);
    }
};
