//! The peak of this process's resident memory over what it was at the start, by the kernel's own
//! high-water mark (Linux; 0 elsewhere).

const std = @import("std");

pub const Resident = struct {
    before: u64,

    pub fn begin() Resident {
        // 5 resets the high-water mark.
        if (open("/proc/self/clear_refs", o_wronly)) |file| {
            _ = std.c.write(file, "5", 1);
            _ = std.c.close(file);
        }
        return .{ .before = read("VmRSS:") };
    }

    /// Bytes.
    pub fn peak(resident: Resident) u64 {
        return (read("VmHWM:") -| resident.before) * 1024;
    }

    fn read(name: []const u8) u64 {
        const file = open("/proc/self/status", 0) orelse return 0;
        defer _ = std.c.close(file);
        var text: [8192]u8 = undefined;
        const size = std.c.read(file, &text, text.len);
        if (size <= 0) return 0;
        const rest = text[0..@intCast(size)];
        const at = std.mem.indexOf(u8, rest, name) orelse return 0;
        var words = std.mem.tokenizeAny(u8, rest[at + name.len ..], " \t\n");
        return std.fmt.parseInt(u64, words.next() orelse return 0, 10) catch 0;
    }

    fn open(path: [*:0]const u8, flags: c_int) ?c_int {
        const file = posixOpen(path, flags);
        return if (file < 0) null else file;
    }
};

const o_wronly = 1;

const posixOpen = @extern(
    *const fn ([*:0]const u8, c_int, ...) callconv(.c) c_int,
    .{ .name = "open" },
);
