//! Files, read at an offset. A read past the end is an error, never zeros.

const std = @import("std");
const builtin = @import("builtin");

const linux = std.os.linux;
const native_os = builtin.os.tag;

pub const Error = error{ FileNotFound, FileUnreadable, FileTruncated };

const path_size_max = 4096;

pub const File = struct {
    handle: usize,

    /// `path` is UTF-8 without a terminating zero.
    pub fn open(path: []const u8) Error!File {
        if (path.len >= path_size_max) return error.FileNotFound;
        if (native_os == .windows) return openWindows(path);
        var buffer: [path_size_max:0]u8 = undefined;
        @memcpy(buffer[0..path.len], path);
        buffer[path.len] = 0;
        if (native_os == .linux) {
            const rc = linux.open(&buffer, .{ .ACCMODE = .RDONLY, .CLOEXEC = true }, 0);
            return switch (linux.errno(rc)) {
                .SUCCESS => .{ .handle = rc },
                .NOENT => error.FileNotFound,
                else => error.FileUnreadable,
            };
        }
        const file = posixOpen(&buffer, 0);
        if (file < 0) return error.FileNotFound;
        return .{ .handle = @intCast(file) };
    }

    pub fn close(file: File) void {
        switch (native_os) {
            .linux => _ = linux.close(@intCast(file.handle)),
            .windows => _ = CloseHandle(@ptrFromInt(file.handle)),
            else => _ = posixClose(@intCast(file.handle)),
        }
    }

    /// Fills all of `buffer` from byte `offset` on.
    pub fn readAt(file: File, buffer: []u8, offset: u64) Error!void {
        var done: usize = 0;
        while (done < buffer.len) {
            // A single read is capped well below what any system takes at once.
            const rest = buffer[done..][0..@min(buffer.len - done, 1 << 30)];
            const count = try file.readSome(rest, offset + done);
            if (count == 0) return error.FileTruncated;
            done += count;
        }
    }

    fn readSome(file: File, buffer: []u8, offset: u64) Error!usize {
        switch (native_os) {
            .linux => while (true) {
                const rc = linux.pread(
                    @intCast(file.handle),
                    buffer.ptr,
                    buffer.len,
                    @intCast(offset),
                );
                switch (linux.errno(rc)) {
                    .SUCCESS => return rc,
                    .INTR => continue,
                    else => return error.FileUnreadable,
                }
            },
            .windows => {
                var overlapped: Overlapped = .{
                    .offset_low = @truncate(offset),
                    .offset_high = @truncate(offset >> 32),
                };
                var count: u32 = 0;
                const handle: *anyopaque = @ptrFromInt(file.handle);
                const count_max: u32 = @intCast(buffer.len);
                if (ReadFile(handle, buffer.ptr, count_max, &count, &overlapped) == 0) {
                    return if (GetLastError() == error_handle_eof) 0 else error.FileUnreadable;
                }
                return count;
            },
            else => {
                const rc = pread(@intCast(file.handle), buffer.ptr, buffer.len, @intCast(offset));
                if (rc < 0) return error.FileUnreadable;
                return @intCast(rc);
            },
        }
    }

    /// Asks the system to begin to read a part, without waiting for it. Windows reads ahead by
    /// itself where reads follow each other.
    pub fn readAhead(file: File, offset: u64, count: u64) void {
        const will_need = 3;
        switch (native_os) {
            .linux => {
                const handle: i32 = @intCast(file.handle);
                _ = linux.fadvise(handle, @intCast(offset), @intCast(count), will_need);
            },
            .macos => {
                const wish: ReadAdvice = .{
                    .offset = @intCast(offset),
                    .count = @intCast(@min(count, std.math.maxInt(c_int))),
                };
                _ = posixControl(@intCast(file.handle), file_read_advise, &wish);
            },
            else => {},
        }
    }

    /// Bytes the file has now.
    pub fn size(file: File) Error!u64 {
        switch (native_os) {
            .linux => {
                const rc = linux.lseek(@intCast(file.handle), 0, linux.SEEK.END);
                return if (linux.errno(rc) == .SUCCESS) rc else error.FileUnreadable;
            },
            .windows => {
                var bytes: i64 = 0;
                const handle: *anyopaque = @ptrFromInt(file.handle);
                if (GetFileSizeEx(handle, &bytes) == 0) return error.FileUnreadable;
                return @intCast(bytes);
            },
            else => {
                const end = lseek(@intCast(file.handle), 0, 2);
                return if (end >= 0) @intCast(end) else error.FileUnreadable;
            },
        }
    }
};

/// What a file begins with, as far as it fits into `buffer`: for the small files in which systems
/// tell about themselves. Null when it cannot be read.
pub fn readStart(path: []const u8, buffer: []u8) ?[]const u8 {
    const file = File.open(path) catch return null;
    defer file.close();
    var done: usize = 0;
    while (done < buffer.len) {
        const count = file.readSome(buffer[done..], done) catch return null;
        if (count == 0) break;
        done += count;
    }
    return buffer[0..done];
}

fn openWindows(path: []const u8) Error!File {
    var wide: [path_size_max:0]u16 = undefined;
    const count = std.unicode.wtf8ToWtf16Le(&wide, path) catch return error.FileNotFound;
    wide[count] = 0;
    const share_all: u32 = 7;
    const handle = CreateFileW(&wide, generic_read, share_all, null, open_existing, 0, null);
    if (@intFromPtr(handle) == std.math.maxInt(usize)) return error.FileNotFound;
    return .{ .handle = @intFromPtr(handle) };
}

const Overlapped = extern struct {
    internal: usize = 0,
    internal_high: usize = 0,
    offset_low: u32,
    offset_high: u32,
    event: ?*anyopaque = null,
};

const generic_read: u32 = 0x8000_0000;
const open_existing: u32 = 3;
const error_handle_eof: u32 = 38;

const posixOpen = @extern(
    *const fn ([*:0]const u8, c_int, ...) callconv(.c) c_int,
    .{ .name = "open" },
);
/// struct radvisory of macOS, and the command that takes it. Source: sys/fcntl.h of its SDK.
const ReadAdvice = extern struct { offset: i64, count: c_int };
const file_read_advise: c_int = 44;

const posixControl = @extern(
    *const fn (c_int, c_int, ...) callconv(.c) c_int,
    .{ .name = "fcntl" },
);
const posixClose = @extern(*const fn (c_int) callconv(.c) c_int, .{ .name = "close" });
extern fn lseek(file: c_int, offset: i64, whence: c_int) i64;
extern fn pread(file: c_int, buffer: [*]u8, size: usize, offset: i64) isize;
extern "kernel32" fn CreateFileW(
    path: [*:0]const u16,
    access: u32,
    share: u32,
    security: ?*anyopaque,
    disposition: u32,
    flags: u32,
    template: ?*anyopaque,
) callconv(.winapi) *anyopaque;
extern "kernel32" fn ReadFile(
    handle: *anyopaque,
    buffer: [*]u8,
    size: u32,
    count: *u32,
    overlapped: *Overlapped,
) callconv(.winapi) c_int;
extern "kernel32" fn CloseHandle(handle: *anyopaque) callconv(.winapi) c_int;
extern "kernel32" fn GetLastError() callconv(.winapi) u32;
extern "kernel32" fn GetFileSizeEx(file: *anyopaque, size: *i64) callconv(.winapi) c_int;
