//! The few things asked of the operating system: threads, waiting on an address, time, processors.
//!
//! The library links no C library on Linux, so that one file serves glibc and musl: `pthread_*` are
//! left undefined and found in the process that loads it. std's own spawn needs a C library's
//! set-up and crashes in a loaded library without one.

const std = @import("std");
const builtin = @import("builtin");

const linux = std.os.linux;
const native_os = builtin.os.tag;

pub const SpawnError = error{ThreadsExhausted};

/// A joinable thread.
pub const Thread = struct {
    handle: usize,

    const Entry = if (native_os == .windows)
        *const fn (?*anyopaque) callconv(.winapi) u32
    else
        *const fn (?*anyopaque) callconv(.c) ?*anyopaque;

    /// Runs `body(context)` on a new thread. `context` must outlive it.
    pub fn spawn(
        comptime Context: type,
        context: *Context,
        comptime body: fn (*Context) void,
    ) SpawnError!Thread {
        const Start = struct {
            fn posix(raw: ?*anyopaque) callconv(.c) ?*anyopaque {
                body(@ptrCast(@alignCast(raw.?)));
                return null;
            }
            fn windows(raw: ?*anyopaque) callconv(.winapi) u32 {
                body(@ptrCast(@alignCast(raw.?)));
                return 0;
            }
        };
        if (native_os == .windows) {
            const handle = CreateThread(null, 0, Start.windows, context, 0, null) orelse
                return error.ThreadsExhausted;
            return .{ .handle = @intFromPtr(handle) };
        }
        var handle: usize = 0;
        if (pthread_create(&handle, null, Start.posix, context) != 0) {
            return error.ThreadsExhausted;
        }
        return .{ .handle = handle };
    }

    pub fn join(thread: Thread) void {
        if (native_os == .windows) {
            const handle: *anyopaque = @ptrFromInt(thread.handle);
            _ = WaitForSingleObject(handle, 0xffff_ffff);
            _ = CloseHandle(handle);
        } else {
            _ = pthread_join(thread.handle, null);
        }
    }
};

/// Sleeps while `word` holds `expected`, until woken or `timeout_ns` has passed. May wake early.
pub fn wait(word: *const std.atomic.Value(u32), expected: u32, timeout_ns: ?u64) void {
    switch (native_os) {
        .linux => {
            var timeout: linux.timespec = undefined;
            if (timeout_ns) |ns| timeout = .{
                .sec = @intCast(ns / std.time.ns_per_s),
                .nsec = @intCast(ns % std.time.ns_per_s),
            };
            _ = linux.futex_4arg(
                &word.raw,
                .{ .cmd = .WAIT, .private = true },
                expected,
                if (timeout_ns != null) &timeout else null,
            );
        },
        .macos => {
            const us: u64 = if (timeout_ns) |ns| @max(1, ns / 1000) else 0;
            const capped: u32 = @intCast(@min(us, std.math.maxInt(u32)));
            _ = __ulock_wait(ulock_compare_and_wait, &word.raw, expected, capped);
        },
        .windows => {
            // Negative means relative, in units of 100 ns.
            var relative: i64 = if (timeout_ns) |ns| -@as(i64, @intCast(ns / 100)) else 0;
            const timeout: ?*i64 = if (timeout_ns != null) &relative else null;
            _ = RtlWaitOnAddress(&word.raw, &expected, @sizeOf(u32), timeout);
        },
        else => @compileError("no address wait for this system"),
    }
}

/// Wakes everyone that sleeps on `word`.
pub fn wakeAll(word: *const std.atomic.Value(u32)) void {
    switch (native_os) {
        .linux => _ = linux.futex_3arg(
            &word.raw,
            .{ .cmd = .WAKE, .private = true },
            std.math.maxInt(i32),
        ),
        .macos => _ = __ulock_wake(ulock_compare_and_wait | ulock_wake_all, &word.raw, 0),
        .windows => RtlWakeAddressAll(&word.raw),
        else => @compileError("no address wake for this system"),
    }
}

/// A monotonic clock in nanoseconds.
pub fn now() u64 {
    switch (native_os) {
        .linux => {
            var at: linux.timespec = undefined;
            _ = linux.clock_gettime(.MONOTONIC, &at);
            return @as(u64, @intCast(at.sec)) * std.time.ns_per_s + @as(u64, @intCast(at.nsec));
        },
        .macos => return clock_gettime_nsec_np(clock_uptime_raw),
        .windows => {
            var ticks: i64 = 0;
            var per_second: i64 = 1;
            _ = QueryPerformanceCounter(&ticks);
            _ = QueryPerformanceFrequency(&per_second);
            const wide = @as(u128, @intCast(ticks)) * std.time.ns_per_s;
            return @intCast(wide / @as(u128, @intCast(per_second)));
        },
        else => @compileError("no clock for this system"),
    }
}

/// Processors this process may run on, by its affinity; cgroup quotas are the caller's business.
pub fn processorCount() u32 {
    switch (native_os) {
        .linux => {
            var set: linux.cpu_set_t = @splat(0);
            const rc = linux.sched_getaffinity(0, @sizeOf(linux.cpu_set_t), &set);
            if (linux.errno(rc) != .SUCCESS) return 1;
            var count: u32 = 0;
            for (set) |word| count += @popCount(word);
            return @max(1, count);
        },
        .macos => {
            // The fast cores only: a static split would wait for the slow ones at every barrier.
            const fast = sysctlU32("hw.perflevel0.logicalcpu");
            return @max(1, if (fast > 0) fast else sysctlU32("hw.logicalcpu"));
        },
        .windows => return @max(1, GetActiveProcessorCount(0xffff)),
        else => return 1,
    }
}

/// A macOS system value, or 0 where it does not exist.
pub fn sysctlU32(name: [*:0]const u8) u32 {
    if (native_os != .macos) return 0;
    var value: u32 = 0;
    var size: usize = @sizeOf(u32);
    if (sysctlbyname(name, &value, &size, null, 0) != 0) return 0;
    return value;
}

pub fn yield() void {
    switch (native_os) {
        .linux => _ = linux.sched_yield(),
        .macos => _ = sched_yield(),
        .windows => _ = SwitchToThread(),
        else => {},
    }
}

const ulock_compare_and_wait: u32 = 1;
const ulock_wake_all: u32 = 0x100;
const clock_uptime_raw: u32 = 8;

extern fn pthread_create(
    handle: *usize,
    attributes: ?*const anyopaque,
    entry: Thread.Entry,
    context: ?*anyopaque,
) c_int;
extern fn pthread_join(handle: usize, result: ?*?*anyopaque) c_int;
extern fn sched_yield() c_int;
extern fn __ulock_wait(operation: u32, address: *const u32, value: u64, timeout_us: u32) c_int;
extern fn __ulock_wake(operation: u32, address: *const u32, value: u64) c_int;
extern fn clock_gettime_nsec_np(clock: u32) u64;
extern fn sysctlbyname(
    name: [*:0]const u8,
    value: *anyopaque,
    size: *usize,
    new_value: ?*const anyopaque,
    new_size: usize,
) c_int;
extern "kernel32" fn CreateThread(
    attributes: ?*anyopaque,
    stack_size: usize,
    entry: Thread.Entry,
    context: ?*anyopaque,
    flags: u32,
    id: ?*u32,
) callconv(.winapi) ?*anyopaque;
extern "kernel32" fn WaitForSingleObject(handle: *anyopaque, ms: u32) callconv(.winapi) u32;
extern "kernel32" fn CloseHandle(handle: *anyopaque) callconv(.winapi) c_int;
extern "kernel32" fn QueryPerformanceCounter(ticks: *i64) callconv(.winapi) c_int;
extern "kernel32" fn QueryPerformanceFrequency(per_second: *i64) callconv(.winapi) c_int;
extern "kernel32" fn GetActiveProcessorCount(group: u16) callconv(.winapi) u32;
extern "kernel32" fn SwitchToThread() callconv(.winapi) c_int;
extern "ntdll" fn RtlWaitOnAddress(
    address: *const anyopaque,
    compare: *const anyopaque,
    size: usize,
    timeout: ?*const i64,
) callconv(.winapi) i32;
extern "ntdll" fn RtlWakeAddressAll(address: *const anyopaque) callconv(.winapi) void;
