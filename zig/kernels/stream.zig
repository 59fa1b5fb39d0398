//! Stores that go past the caches: for results so large that nothing of them is left in a cache
//! when somebody reads them. A plain store first reads the line that it overwrites; these do not,
//! so that an addition moves three bytes where it moved four.
//!
//! Kernels compute a span in a worker's scratch and copy it out from there. Whoever stores so calls
//! `fence` before others may read. Where the processor has no such stores, these are plain ones.

const std = @import("std");
const builtin = @import("builtin");
const task_types = @import("task.zig");

/// Of a result: a good deal more than a core's own caches and its share of the last one.
pub const size_min = 16 << 20;
const line_size = 64;

const is_x86 = builtin.cpu.arch == .x86_64;
const features = builtin.cpu.features;
const Vector = if (is_x86 and std.Target.x86.featureSetHas(features, .avx512f))
    @Vector(16, f32)
else if (is_x86 and std.Target.x86.featureSetHas(features, .avx))
    @Vector(8, f32)
else
    @Vector(4, f32);

/// Whether a result is so large.
pub fn fits(size: usize) bool {
    return is_x86 and size >= size_min;
}

pub fn copy(to: [*]u8, from: []const u8) void {
    if (!is_x86) return @memcpy(to, from);
    // Up to the first whole line, whole lines, what is left.
    const aligned = std.mem.alignForward(usize, @intFromPtr(to), line_size);
    const before = @min(aligned - @intFromPtr(to), from.len);
    @memcpy(to, from[0..before]);
    var at = before;
    while (at + line_size <= from.len) : (at += line_size) storeLine(to + at, from[at..].ptr);
    @memcpy(to + at, from[at..]);
}

/// A line of one value, to an address at a multiple of 64.
pub inline fn fill(to: [*]u8, value: Vector) void {
    inline for (0..line_size / @sizeOf(Vector)) |i| store(to + i * @sizeOf(Vector), value);
}

inline fn storeLine(to: [*]u8, from: [*]const u8) void {
    inline for (0..line_size / @sizeOf(Vector)) |i| {
        const value: *align(1) const Vector = @ptrCast(from + i * @sizeOf(Vector));
        store(to + i * @sizeOf(Vector), value.*);
    }
}

inline fn store(to: [*]u8, value: Vector) void {
    if (@sizeOf(Vector) > 16) {
        asm volatile ("vmovntps %[value], (%[to])"
            :
            : [value] "x" (value),
              [to] "r" (to),
            : .{ .memory = true });
    } else if (is_x86) {
        asm volatile ("movntps %[value], (%[to])"
            :
            : [value] "x" (value),
              [to] "r" (to),
            : .{ .memory = true });
    } else @as(*Vector, @ptrCast(@alignCast(to))).* = value;
}

/// What was stored so is seen by whoever sees what is stored after it.
pub inline fn fence() void {
    if (is_x86) asm volatile ("sfence" ::: .{ .memory = true });
}

test "stream: copies bytes of any alignment and length" {
    var from: [300]u8 = undefined;
    for (&from, 0..) |*byte, i| byte.* = @truncate(i * 7);
    for ([_]usize{ 0, 1, 63, 64, 65, 200 }) |count| for ([_]usize{ 0, 1, 16, 63 }) |start| {
        var to: [400]u8 align(64) = @splat(0xaa);
        copy(to[start..].ptr, from[3..][0..count]);
        fence();
        try std.testing.expectEqualSlices(u8, from[3..][0..count], to[start..][0..count]);
        try std.testing.expectEqual(0xaa, to[start + count]);
        if (start > 0) try std.testing.expectEqual(0xaa, to[start - 1]);
    };
}
