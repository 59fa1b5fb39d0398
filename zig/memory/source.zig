//! Where a pool's pages come from: one `Source` a device. Mapped memory reads zero when it is first
//! touched and costs nothing before. The processor's source is the operating system; a device with
//! shared memory (Metal) maps pages, wraps them in its own buffer and tells that by `handleOf`.

const std = @import("std");
const builtin = @import("builtin");
const system_pages = @import("system_pages.zig");

pub const Device = enum(u32) { cpu, metal };

pub const Source = struct {
    context: ?*anyopaque = null,
    device: Device = .cpu,
    vtable: *const VTable = &system_vtable,

    pub const VTable = struct {
        /// Zeroed address space at a multiple of `alignment`; null when there is none.
        map: *const fn (?*anyopaque, usize, usize) ?[*]u8,
        /// Undoes one whole `map`.
        unmap: *const fn (?*anyopaque, [*]u8, usize) void,
        /// Makes mapped pages usable, before their first touch and after `discard`.
        commit: *const fn (?*anyopaque, [*]u8, usize) bool,
        /// Gives the pages back but keeps their addresses; they read zero after the next `commit`.
        discard: *const fn (?*anyopaque, [*]u8, usize) void,
        /// Asks for huge pages, or for none of them, in clean memory.
        adviseHuge: *const fn (?*anyopaque, [*]u8, usize, bool) void,
        /// The device's own object for the mapping at this address; 0 where there is none.
        handleOf: *const fn (?*anyopaque, [*]const u8) usize,
    };

    pub fn map(source: Source, size: usize, alignment: usize) ?[*]u8 {
        return source.vtable.map(source.context, size, alignment);
    }

    pub fn unmap(source: Source, memory: [*]u8, size: usize) void {
        source.vtable.unmap(source.context, memory, size);
    }

    pub fn commit(source: Source, memory: [*]u8, size: usize) bool {
        return source.vtable.commit(source.context, memory, size);
    }

    pub fn discard(source: Source, memory: [*]u8, size: usize) void {
        source.vtable.discard(source.context, memory, size);
    }

    pub fn adviseHuge(source: Source, memory: [*]u8, size: usize, huge: bool) void {
        source.vtable.adviseHuge(source.context, memory, size, huge);
    }

    pub fn handleOf(source: Source, memory: [*]const u8) usize {
        return source.vtable.handleOf(source.context, memory);
    }
};

/// The operating system.
pub const system: Source = .{};

const system_vtable: Source.VTable = .{
    .map = mapSystem,
    .unmap = unmapSystem,
    .commit = commitSystem,
    .discard = discardSystem,
    .adviseHuge = adviseHugeSystem,
    .handleOf = handleOfSystem,
};

fn mapSystem(_: ?*anyopaque, size: usize, alignment: usize) ?[*]u8 {
    return system_pages.map(size, alignment);
}

fn unmapSystem(_: ?*anyopaque, memory: [*]u8, size: usize) void {
    system_pages.unmap(memory, size);
}

fn commitSystem(_: ?*anyopaque, memory: [*]u8, size: usize) bool {
    return system_pages.commit(memory, size);
}

fn discardSystem(_: ?*anyopaque, memory: [*]u8, size: usize) void {
    system_pages.discard(memory, size);
}

fn adviseHugeSystem(_: ?*anyopaque, memory: [*]u8, size: usize, huge: bool) void {
    system_pages.adviseHuge(memory, size, huge);
}

fn handleOfSystem(_: ?*anyopaque, _: [*]const u8) usize {
    return 0;
}

/// For tests: the system's pages, counted, refused from the call numbered `fail_at` on (until it
/// is changed) and above `size_max` bytes in all.
pub const Faulty = struct {
    calls: std.atomic.Value(u64) = .init(0),
    mapped: std.atomic.Value(u64) = .init(0),
    fail_at: u64 = std.math.maxInt(u64),
    /// One refusal only, where not set: later calls go through again.
    fail_after: bool = false,
    size_max: u64 = std.math.maxInt(u64),

    pub fn source(faulty: *Faulty) Source {
        return .{ .context = faulty, .vtable = &vtable };
    }

    const vtable: Source.VTable = .{
        .map = mapFaulty,
        .unmap = unmapFaulty,
        .commit = commitFaulty,
        .discard = discardSystem,
        .adviseHuge = adviseHugeSystem,
        .handleOf = handleOfSystem,
    };

    fn refuses(faulty: *Faulty) bool {
        const call = faulty.calls.fetchAdd(1, .monotonic);
        return call == faulty.fail_at or (faulty.fail_after and call > faulty.fail_at);
    }

    fn of(context: ?*anyopaque) *Faulty {
        return @ptrCast(@alignCast(context.?));
    }

    fn mapFaulty(context: ?*anyopaque, size: usize, alignment: usize) ?[*]u8 {
        const faulty = of(context);
        if (faulty.refuses()) return null;
        if (faulty.mapped.fetchAdd(size, .monotonic) + size <= faulty.size_max) {
            if (system_pages.map(size, alignment)) |memory| return memory;
        }
        _ = faulty.mapped.fetchSub(size, .monotonic);
        return null;
    }

    fn unmapFaulty(context: ?*anyopaque, memory: [*]u8, size: usize) void {
        _ = of(context).mapped.fetchSub(size, .monotonic);
        system_pages.unmap(memory, size);
    }

    fn commitFaulty(context: ?*anyopaque, memory: [*]u8, size: usize) bool {
        if (of(context).refuses()) return false;
        return system_pages.commit(memory, size);
    }
};

test "source: what is discarded reads zero again, and refusals leave nothing mapped" {
    var faulty: Faulty = .{};
    const source = faulty.source();
    const size = 8 << 20;
    const memory = source.map(size, 4 << 20).?;
    try std.testing.expectEqual(0, @intFromPtr(memory) % (4 << 20));
    try std.testing.expect(source.commit(memory, size));
    memory[5000] = 7;
    source.discard(memory, size);
    try std.testing.expect(source.commit(memory, size));
    try std.testing.expectEqual(0, memory[5000]);
    source.unmap(memory, size);
    try std.testing.expectEqual(0, faulty.mapped.raw);
    faulty.fail_at = faulty.calls.raw;
    try std.testing.expectEqual(null, source.map(size, 4096));
    try std.testing.expectEqual(0, faulty.mapped.raw);
}
