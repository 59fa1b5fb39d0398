//! Which thread this is: by the system's number, for people, and by an address that no two live
//! threads share, which costs one instruction where the processor keeps it in a register.

const std = @import("std");
const builtin = @import("builtin");

const linux = std.os.linux;
const native_os = builtin.os.tag;

pub const Id = u64;

threadlocal var own_id: Id = 0;

/// The system's number of the calling thread.
pub fn current() Id {
    if (own_id == 0) own_id = ask();
    return own_id;
}

fn ask() Id {
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

threadlocal var own_place: u8 = 0;

/// Not 0, and another one for each thread that lives; a later thread may get that of an ended one.
pub inline fn pointer() usize {
    if (native_os == .linux) switch (builtin.cpu.arch) {
        // The thread control block begins with its own address.
        .x86_64 => return asm ("movq %%fs:0, %[ret]"
            : [ret] "=r" (-> usize),
        ),
        .aarch64 => return asm ("mrs %[ret], tpidr_el0"
            : [ret] "=r" (-> usize),
        ),
        else => {},
    };
    return @intFromPtr(&own_place);
}

extern fn pthread_threadid_np(thread: ?*anyopaque, id: *u64) c_int;
extern "kernel32" fn GetCurrentThreadId() callconv(.winapi) u32;

test "thread id: threads differ" {
    const os = @import("../threads/os.zig");
    const Probe = struct {
        id: Id = 0,
        pointer: usize = 0,

        fn run(probe: *@This()) void {
            probe.* = .{ .id = current(), .pointer = thisPointer() };
        }

        fn thisPointer() usize {
            return @call(.never_inline, readPointer, .{});
        }

        fn readPointer() usize {
            return pointer();
        }
    };
    var probe: Probe = .{};
    const thread = try os.Thread.spawn(Probe, &probe, Probe.run);
    thread.join();
    try std.testing.expect(probe.id != 0 and probe.id != current());
    try std.testing.expect(probe.pointer != 0 and probe.pointer != pointer());
}
