//! Tells listeners on a thread's own way out, so that what belongs to it can be handed on before
//! another thread may come to bear its address. A thread is told of once it has called `arm`.
//!
//! The system calls back by a key with a destructor. When the library is unloaded on Linux the key
//! goes first; macOS never unloads a library with thread-local variables; on Windows it is pinned.

const std = @import("std");
const builtin = @import("builtin");
const Mutex = @import("../threads/sync.zig").Mutex;

const native_os = builtin.os.tag;

pub const Listener = struct {
    next: ?*Listener = null,
    threadEnds: *const fn (*Listener) void,
};

var mutex: Mutex = .{};
var listeners: ?*Listener = null;
var key: Key = undefined;
var has_key: bool = false;

const Key = if (native_os == .macos) usize else u32;

pub fn add(listener: *Listener) void {
    mutex.lock();
    defer mutex.unlock();
    listener.next = listeners;
    listeners = listener;
}

/// No call to the listener is under way or comes afterwards.
pub fn remove(listener: *Listener) void {
    mutex.lock();
    defer mutex.unlock();
    var link = &listeners;
    while (link.* != listener) link = &link.*.?.next;
    link.* = listener.next;
}

/// Has the listeners told when the calling thread ends; false when the system has no key left.
pub fn arm() bool {
    {
        mutex.lock();
        defer mutex.unlock();
        if (!has_key) has_key = createKey();
        if (!has_key) return false;
    }
    // The destructor runs where the value is not null.
    const value: *anyopaque = @ptrCast(&key);
    if (native_os == .windows) return FlsSetValue(key, value) != 0;
    return pthread_setspecific(key, value) == 0;
}

fn tell() void {
    mutex.lock();
    defer mutex.unlock();
    var next = listeners;
    while (next) |listener| {
        next = listener.next;
        listener.threadEnds(listener);
    }
}

fn createKey() bool {
    if (native_os != .windows) return pthread_key_create(&key, &tellPosix) == 0;
    var module: ?*anyopaque = null;
    const flags = module_flag_pin | module_flag_from_address;
    if (GetModuleHandleExW(flags, @ptrCast(&tellWindows), &module) == 0) return false;
    key = FlsAlloc(&tellWindows);
    return key != fls_out_of_indexes;
}

fn tellPosix(_: ?*anyopaque) callconv(.c) void {
    tell();
}

fn tellWindows(_: ?*anyopaque) callconv(.winapi) void {
    tell();
}

fn unload() callconv(.c) void {
    if (has_key) _ = pthread_key_delete(key);
    has_key = false;
}

const Unloads = if (native_os == .linux) struct {
    /// The loader calls what it finds in this section.
    export const bn_memory_unload: *const fn () callconv(.c) void linksection(".fini_array") =
        &unload;
} else struct {};

comptime {
    _ = Unloads;
}

const module_flag_pin: u32 = 1;
const module_flag_from_address: u32 = 4;
const fls_out_of_indexes: u32 = 0xffff_ffff;

extern fn pthread_key_create(
    key: *Key,
    destructor: *const fn (?*anyopaque) callconv(.c) void,
) c_int;
extern fn pthread_key_delete(key: Key) c_int;
extern fn pthread_setspecific(key: Key, value: ?*const anyopaque) c_int;
const FlsCallback = *const fn (?*anyopaque) callconv(.winapi) void;
extern "kernel32" fn FlsAlloc(callback: FlsCallback) callconv(.winapi) u32;
extern "kernel32" fn FlsSetValue(key: u32, value: ?*anyopaque) callconv(.winapi) c_int;
extern "kernel32" fn GetModuleHandleExW(
    flags: u32,
    address: ?*const anyopaque,
    module: *?*anyopaque,
) callconv(.winapi) c_int;

test "thread exit: a listener hears of each armed thread once" {
    const os = @import("../threads/os.zig");
    const Counting = struct {
        listener: Listener = .{ .threadEnds = hear },
        heard: u32 = 0,

        fn hear(listener: *Listener) void {
            const counting: *@This() = @fieldParentPtr("listener", listener);
            counting.heard += 1;
        }

        fn run(_: *@This()) void {
            std.debug.assert(arm());
            std.debug.assert(arm());
        }
    };
    var counting: Counting = .{};
    add(&counting.listener);
    for (0..3) |_| {
        const thread = try os.Thread.spawn(Counting, &counting, Counting.run);
        thread.join();
    }
    remove(&counting.listener);
    try std.testing.expectEqual(3, counting.heard);
}
