//! What memory the machine and this process have: bytes in all, bytes that can still be taken, the
//! tightest limit, and what is resident. Linux tells in /proc and in the files of control groups,
//! versions 1 and 2, of which every ancestor can limit; macOS and Windows by calls.
//!
//! What can be taken counts file pages and reclaimable tables as free, as the kernel's own
//! `MemAvailable` does, for the machine and for each control group.

const std = @import("std");
const builtin = @import("builtin");
const files = @import("files.zig");

pub const SystemMemory = extern struct {
    /// Of the machine.
    total: u64,
    /// What this process can still take: the machine's, within the limits of its control groups.
    available: u64,
    /// The most this process can have: the tightest limit, or `total`.
    limit: u64,
    /// What of this process is in memory, mapped files included.
    resident: u64,
};

pub fn read() error{Unsupported}!SystemMemory {
    return switch (builtin.os.tag) {
        .linux => readLinux(files.readStart) orelse error.Unsupported,
        .macos => readMac() orelse error.Unsupported,
        .windows => readWindows() orelse error.Unsupported,
        else => error.Unsupported,
    };
}

/// Fills the buffer from the start of a file; null when there is none.
const ReadFile = fn (path: []const u8, buffer: []u8) ?[]const u8;

fn readLinux(comptime readFile: ReadFile) ?SystemMemory {
    var buffer: [4096]u8 = undefined;
    const info = readFile("/proc/meminfo", &buffer) orelse return null;
    const total = 1024 * (field(info, "MemTotal:") orelse return null);
    var memory: SystemMemory = .{
        .total = total,
        .available = 1024 * (field(info, "MemAvailable:") orelse field(info, "MemFree:") orelse 0),
        .limit = total,
        .resident = 0,
    };
    if (readFile("/proc/self/statm", &buffer)) |text| {
        var numbers = std.mem.tokenizeScalar(u8, text, ' ');
        _ = numbers.next();
        const pages = number(numbers.next() orelse "") orelse 0;
        memory.resident = pages * std.heap.pageSize();
    }
    var groups_buffer: [4096]u8 = undefined;
    const groups = readFile("/proc/self/cgroup", &groups_buffer) orelse return memory;
    var lines = std.mem.tokenizeScalar(u8, groups, '\n');
    while (lines.next()) |line| {
        // hierarchy:controllers:path
        var parts = std.mem.splitScalar(u8, line, ':');
        _ = parts.next();
        const controllers = parts.next() orelse continue;
        const path = parts.rest();
        if (controllers.len == 0) {
            for (version_two_roots) |root| {
                limitByGroups(&memory, .{ .root = root, .names = version_two }, path, readFile);
            }
        } else if (hasWord(controllers, "memory")) {
            const names: Group = .{ .root = version_one_root, .names = version_one };
            limitByGroups(&memory, names, path, readFile);
        }
    }
    return memory;
}

// Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
const version_two_roots = [_][]const u8{ "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
const version_one_root = "/sys/fs/cgroup/memory";

const Names = struct { limits: []const []const u8, used: []const u8, stat: []const []const u8 };
const Group = struct { root: []const u8, names: Names };

const version_two: Names = .{
    .limits = &.{ "memory.max", "memory.high" },
    .used = "memory.current",
    .stat = &.{ "inactive_file", "active_file", "slab_reclaimable" },
};
const version_one: Names = .{
    .limits = &.{"memory.limit_in_bytes"},
    .used = "memory.usage_in_bytes",
    .stat = &.{ "total_inactive_file", "total_active_file" },
};

/// Takes the limits of a group and of every one above it. In a container the path may be that of
/// the host: what is not there limits nothing, and the root is the container's own group.
fn limitByGroups(
    memory: *SystemMemory,
    group: Group,
    path: []const u8,
    comptime readFile: ReadFile,
) void {
    var end = std.mem.trimEnd(u8, path, "/").len;
    while (true) {
        limitByGroup(memory, group, path[0..end], readFile);
        if (end == 0) return;
        end = std.mem.lastIndexOfScalar(u8, path[0..end], '/') orelse 0;
    }
}

fn limitByGroup(
    memory: *SystemMemory,
    group: Group,
    path: []const u8,
    comptime readFile: ReadFile,
) void {
    var place: Place = .{ .group = group, .path = path };
    var limit: u64 = std.math.maxInt(u64);
    for (group.names.limits) |name| {
        const text = place.read(name, readFile) orelse continue;
        // "max" is no number, and no limit.
        limit = @min(limit, number(text) orelse continue);
    }
    if (limit >= memory.total) return;
    const used = number(place.read(group.names.used, readFile) orelse return) orelse return;
    var gives_way: u64 = 0;
    const stat = place.read("memory.stat", readFile) orelse "";
    for (group.names.stat) |name| gives_way += field(stat, name) orelse 0;
    memory.limit = @min(memory.limit, limit);
    memory.available = @min(memory.available, limit -| (used -| gives_way));
}

const Place = struct {
    group: Group,
    path: []const u8,
    buffer: [8192]u8 = undefined,

    fn read(place: *Place, name: []const u8, comptime readFile: ReadFile) ?[]const u8 {
        var path_buffer: [4096]u8 = undefined;
        const parts = .{ place.group.root, place.path, name };
        const path = std.fmt.bufPrint(&path_buffer, "{s}{s}/{s}", parts) catch return null;
        return readFile(path, &place.buffer);
    }
};

/// The number behind a name that begins a line.
fn field(text: []const u8, name: []const u8) ?u64 {
    var lines = std.mem.tokenizeScalar(u8, text, '\n');
    while (lines.next()) |line| {
        var words = std.mem.tokenizeAny(u8, line, " \t");
        if (std.mem.eql(u8, words.next() orelse continue, name)) {
            return number(words.next() orelse return null);
        }
    }
    return null;
}

fn number(text: []const u8) ?u64 {
    return std.fmt.parseInt(u64, std.mem.trim(u8, text, " \n"), 10) catch null;
}

fn hasWord(list: []const u8, word: []const u8) bool {
    var words = std.mem.tokenizeScalar(u8, list, ',');
    while (words.next()) |each| if (std.mem.eql(u8, each, word)) return true;
    return false;
}

fn readMac() ?SystemMemory {
    var total: u64 = 0;
    var size: usize = @sizeOf(u64);
    if (sysctlbyname("hw.memsize", &total, &size, null, 0) != 0) return null;
    var pages: [64]u32 = undefined;
    var page_count: u32 = host_vm_info_count;
    if (host_statistics64(mach_host_self(), host_vm_info, &pages, &page_count) != 0) return null;
    var task: [12]u32 align(8) = undefined;
    var task_count: u32 = task.len;
    if (task_info(mach_task_self_, mach_task_basic_info, &task, &task_count) != 0) return null;
    // The first counts are free, active and inactive; the third and fourth word of a task's
    // information are its resident size.
    const free_pages = @as(u64, pages[0]) + pages[2];
    return .{
        .total = total,
        .available = @min(total, free_pages * std.heap.pageSize()),
        .limit = total,
        .resident = task[2] | @as(u64, task[3]) << 32,
    };
}

fn readWindows() ?SystemMemory {
    var status: MemoryStatus = undefined;
    status.size = @sizeOf(MemoryStatus);
    if (GlobalMemoryStatusEx(&status) == 0) return null;
    var counters: ProcessMemoryCounters = undefined;
    counters.size = @sizeOf(ProcessMemoryCounters);
    if (K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, counters.size) == 0) return null;
    return .{
        .total = status.total_physical,
        // What may still be committed ends allocations as surely as what is free.
        .available = @min(status.available_physical, status.available_commit),
        .limit = status.total_physical,
        .resident = counters.working_set,
    };
}

// Source: mach/host_info.h, mach/vm_statistics.h, mach/task_info.h of the macOS SDK.
const host_vm_info: c_int = 4;
const host_vm_info_count: u32 = 38;
const mach_task_basic_info: c_int = 20;

extern fn sysctlbyname([*:0]const u8, ?*anyopaque, *usize, ?*anyopaque, usize) c_int;
extern fn mach_host_self() u32;
extern fn host_statistics64(u32, c_int, [*]u32, *u32) c_int;
extern fn task_info(u32, c_int, [*]u32, *u32) c_int;
extern var mach_task_self_: u32;

/// MEMORYSTATUSEX.
const MemoryStatus = extern struct {
    size: u32,
    load: u32,
    total_physical: u64,
    available_physical: u64,
    total_commit: u64,
    available_commit: u64,
    total_virtual: u64,
    available_virtual: u64,
    available_extended: u64,
};

/// PROCESS_MEMORY_COUNTERS.
const ProcessMemoryCounters = extern struct {
    size: u32,
    fault_count: u32,
    working_set_peak: usize,
    working_set: usize,
    rest: [6]usize,
};

comptime {
    std.debug.assert(@sizeOf(MemoryStatus) == 64);
    if (@sizeOf(usize) == 8) std.debug.assert(@sizeOf(ProcessMemoryCounters) == 72);
}

extern "kernel32" fn GlobalMemoryStatusEx(status: *MemoryStatus) callconv(.winapi) c_int;
extern "kernel32" fn GetCurrentProcess() callconv(.winapi) *anyopaque;
extern "kernel32" fn K32GetProcessMemoryInfo(
    process: *anyopaque,
    counters: *ProcessMemoryCounters,
    size: u32,
) callconv(.winapi) c_int;

const testing = std.testing;

const FakeFile = struct { path: []const u8, text: []const u8 };

fn fake(comptime fakes: []const FakeFile) ReadFile {
    return struct {
        fn readFile(path: []const u8, buffer: []u8) ?[]const u8 {
            for (fakes) |file| if (std.mem.eql(u8, file.path, path)) {
                @memcpy(buffer[0..file.text.len], file.text);
                return buffer[0..file.text.len];
            };
            return null;
        }
    }.readFile;
}

const fake_machine: []const FakeFile = &.{
    .{
        .path = "/proc/meminfo",
        .text = "MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:    600 kB\n",
    },
    .{ .path = "/proc/self/statm", .text = "900 25 3 1 0 8 0\n" },
};

test "system memory: without limits the machine's own figures hold" {
    const memory = readLinux(fake(fake_machine)).?;
    try testing.expectEqual(1000 * 1024, memory.total);
    try testing.expectEqual(600 * 1024, memory.available);
    try testing.expectEqual(1000 * 1024, memory.limit);
    try testing.expectEqual(25 * std.heap.pageSize(), memory.resident);
    try testing.expectEqual(null, readLinux(fake(&.{})));
}

test "system memory: the tightest ancestor of a version 2 group limits, file pages give way" {
    const memory = readLinux(fake(fake_machine ++ [_]FakeFile{
        .{ .path = "/proc/self/cgroup", .text = "0::/a/b\n" },
        .{ .path = "/sys/fs/cgroup/a/b/memory.max", .text = "max\n" },
        .{ .path = "/sys/fs/cgroup/a/memory.max", .text = "500000\n" },
        .{ .path = "/sys/fs/cgroup/a/memory.high", .text = "400000\n" },
        .{ .path = "/sys/fs/cgroup/a/memory.current", .text = "350000\n" },
        .{
            .path = "/sys/fs/cgroup/a/memory.stat",
            .text = "anon 1\nfile 99\ninactive_file 40000\nactive_file 60000\n",
        },
    })).?;
    try testing.expectEqual(400_000, memory.limit);
    try testing.expectEqual(400_000 - 250_000, memory.available);
}

test "system memory: a version 1 path of the host falls back to the container's root" {
    const memory = readLinux(fake(fake_machine ++ [_]FakeFile{
        .{ .path = "/proc/self/cgroup", .text = "2:cpu:/x\n4:hugetlb,memory:/box/1\n0::/\n" },
        .{ .path = "/sys/fs/cgroup/memory/memory.limit_in_bytes", .text = "300000\n" },
        .{ .path = "/sys/fs/cgroup/memory/memory.usage_in_bytes", .text = "310000\n" },
        .{
            .path = "/sys/fs/cgroup/memory/memory.stat",
            .text = "inactive_file 5\ntotal_inactive_file 1000\n",
        },
    })).?;
    try testing.expectEqual(300_000, memory.limit);
    try testing.expectEqual(0, memory.available);
}

test "system memory: this machine has some, and this process a part of it" {
    const memory = try read();
    try testing.expect(memory.total >= memory.limit and memory.limit >= memory.available);
    try testing.expect(memory.resident > 0 and memory.resident < memory.total);
}
