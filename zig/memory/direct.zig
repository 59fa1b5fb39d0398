//! Blocks above the buddy allocator's largest: a mapping each, of zeroed pages, aligned so that
//! huge pages fit. Nothing is kept after a free.

const std = @import("std");
const AddressMap = @import("address_map.zig").AddressMap;
const Entry = @import("address_map.zig").Entry;
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;
const Source = @import("source.zig").Source;
const system_pages = @import("system_pages.zig");

const Counter = std.atomic.Value(u64);

const count_max = 8192;
const alignment = 2 << 20;
/// Larger than any address space, and sums of sizes do not overflow.
const size_max = 1 << 47;

pub const Direct = struct {
    source: Source,
    mutex: Mutex = .{},
    sizes: AddressMap,
    huge_pages: bool,
    count: Counter = .init(0),
    mapped: Counter = .init(0),

    pub fn init(source: Source, meta: *Meta, huge_pages: bool) error{OutOfMemory}!Direct {
        const entries = meta.slice(Entry, 2 * count_max) orelse return error.OutOfMemory;
        return .{ .source = source, .sizes = .{ .entries = entries }, .huge_pages = huge_pages };
    }

    pub fn deinit(direct: *Direct) void {
        for (direct.sizes.entries) |entry| {
            if (entry.key != 0) direct.source.unmap(@ptrFromInt(entry.key), entry.value);
        }
        direct.* = undefined;
    }

    /// Bytes that a block of `size` takes; null when no machine has as many.
    pub fn roundUp(size: usize) ?usize {
        return if (size > size_max) null else system_pages.roundUp(size);
    }

    /// `size` is from `roundUp`.
    pub fn allocate(direct: *Direct, size: usize, sparse: bool) ?[*]u8 {
        const memory = direct.source.map(size, alignment) orelse return null;
        if (!direct.source.commit(memory, size) or !direct.add(memory, size)) {
            direct.source.unmap(memory, size);
            return null;
        }
        if (direct.huge_pages and !sparse) direct.source.adviseHuge(memory, size, true);
        return memory;
    }

    fn add(direct: *Direct, memory: [*]u8, size: usize) bool {
        direct.mutex.lock();
        defer direct.mutex.unlock();
        if (direct.sizes.isFull()) return false;
        direct.sizes.put(@intFromPtr(memory), size);
        direct.change(1, size);
        return true;
    }

    /// Unmaps the block and tells its size; null when none starts at `memory`.
    pub fn free(direct: *Direct, memory: [*]u8) ?usize {
        const size = size: {
            direct.mutex.lock();
            defer direct.mutex.unlock();
            const size = direct.sizes.remove(@intFromPtr(memory)) orelse return null;
            direct.change(-1, size);
            break :size size;
        };
        direct.source.unmap(memory, size);
        return size;
    }

    fn change(direct: *Direct, sign: i2, size: u64) void {
        if (sign > 0) {
            direct.count.store(direct.count.raw + 1, .monotonic);
            direct.mapped.store(direct.mapped.raw + size, .monotonic);
        } else {
            direct.count.store(direct.count.raw - 1, .monotonic);
            direct.mapped.store(direct.mapped.raw - size, .monotonic);
        }
    }
};

test "direct: mappings are zero, counted, and unknown addresses refused" {
    const Faulty = @import("source.zig").Faulty;
    var faulty: Faulty = .{};
    var meta: Meta = .{ .source = faulty.source() };
    var direct: Direct = try .init(faulty.source(), &meta, true);
    const size = Direct.roundUp((80 << 20) + 1).?;
    const memory = direct.allocate(size, false).?;
    try std.testing.expectEqual(0, memory[size - 1]);
    try std.testing.expectEqual(1, direct.count.raw);
    try std.testing.expectEqual(null, direct.free(memory + 4096));
    try std.testing.expectEqual(@as(?usize, size), direct.free(memory));
    try std.testing.expectEqual(null, direct.free(memory));
    try std.testing.expectEqual(null, Direct.roundUp(1 << 60));
    _ = direct.allocate(size, false).?;
    direct.deinit();
    meta.deinit();
    try std.testing.expectEqual(0, faulty.mapped.raw);
}
