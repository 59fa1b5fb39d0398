//! Which thread this is, by the system's number, and whether a thread of this process still lives.
//! A number is used again after its thread has ended: whoever bears it then is the owner of what
//! the first one left.

const std = @import("std");
const builtin = @import("builtin");

const linux = std.os.linux;
const native_os = builtin.os.tag;

pub const Id = u64;

/// No thread bears it.
pub const none: Id = 0;

/// A system call: remember the answer.
pub fn current() Id {
    switch (native_os) {
        .linux => return @intCast(linux.gettid()),
        .windows => return GetCurrentThreadId(),
        else => {
            var id: u64 = 0;
            _ = pthread_threadid_np(null, &id);
            return id;
        },
    }
}

pub fn isAlive(id: Id) bool {
    switch (native_os) {
        .linux => {
            const rc = linux.tgkill(linux.getpid(), @intCast(id), @enumFromInt(0));
            return linux.errno(rc) != .SRCH;
        },
        .windows => {
            const handle = OpenThread(synchronize, 0, @intCast(id)) orelse return false;
            defer _ = CloseHandle(handle);
            return WaitForSingleObject(handle, 0) != 0;
        },
        else => {
            var info: [thread_info_size]u8 align(8) = undefined;
            const size = proc_pidinfo(getpid(), pid_thread_id64_info, id, &info, thread_info_size);
            return size == thread_info_size;
        },
    }
}

const synchronize: u32 = 0x0010_0000;
/// Source: Apple, bsd/sys/proc_info.h: PROC_PIDTHREADID64INFO and struct proc_threadinfo.
const pid_thread_id64_info: c_int = 15;
const thread_info_size = 112;

extern fn pthread_threadid_np(thread: ?*anyopaque, id: *u64) c_int;
extern fn getpid() c_int;
extern fn proc_pidinfo(pid: c_int, flavor: c_int, arg: u64, to: *anyopaque, size: c_int) c_int;
extern "kernel32" fn GetCurrentThreadId() callconv(.winapi) u32;
extern "kernel32" fn OpenThread(access: u32, inherit: c_int, id: u32) callconv(.winapi) ?*anyopaque;
extern "kernel32" fn WaitForSingleObject(handle: *anyopaque, ms: u32) callconv(.winapi) u32;
extern "kernel32" fn CloseHandle(handle: *anyopaque) callconv(.winapi) c_int;

test "thread id: a joined thread is dead, its starter alive" {
    const os = @import("../threads/os.zig");
    const Probe = struct {
        id: Id = none,

        fn run(probe: *@This()) void {
            probe.id = current();
        }
    };
    var probe: Probe = .{};
    const thread = try os.Thread.spawn(Probe, &probe, Probe.run);
    thread.join();
    try std.testing.expect(probe.id != current());
    try std.testing.expect(isAlive(current()));
    // The joiner is woken a moment before the system forgets the thread.
    while (isAlive(probe.id)) os.yield();
}
