//! Blocks above the buddy allocator's largest: a mapping each, aligned so that huge pages fit. One
//! that was handed out with undefined contents is kept when it is freed, as long as recent use asks
//! for it, and serves the next request of its size: its pages need not be made and zeroed again.
//! Zeroed and sparse ones go back to the system at once.

const std = @import("std");
const AddressMap = @import("address_map.zig").AddressMap;
const Decay = @import("decay.zig").Decay;
const Entry = @import("address_map.zig").Entry;
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;
const Source = @import("source.zig").Source;
const os = @import("../threads/os.zig");
const system_pages = @import("system_pages.zig");

const Counter = std.atomic.Value(u64);

const count_max = 8192;
const kept_max = 32;
const alignment = 2 << 20;
/// Larger than any address space, and sums of sizes do not overflow.
const size_max = 1 << 47;
/// Beside a size, which is in whole pages: the block is kept when it is freed.
const reusable_flag: u64 = 1;

pub const Use = struct {
    zeroed: bool = false,
    /// Filled bit by bit: no huge pages.
    sparse: bool = false,
};

pub const Options = struct {
    huge_pages: bool = true,
    /// Bytes of freed blocks that are kept; null is what recent use suggests.
    idle_size_max: ?u64 = null,
};

pub const Direct = struct {
    source: Source,
    mutex: Mutex = .{},
    sizes: AddressMap,
    huge_pages: bool,
    count: Counter = .init(0),
    mapped: Counter = .init(0),
    /// Freed blocks, the one freed last at the end.
    kept: [kept_max]Kept = undefined,
    kept_count: usize = 0,
    /// Their bytes.
    idle: Counter = .init(0),
    idle_size_max: ?u64,
    decay: Decay = .{},

    const Kept = struct { memory: [*]u8, size: usize };

    pub fn init(source: Source, meta: *Meta, options: Options) error{OutOfMemory}!Direct {
        const entries = meta.slice(Entry, 2 * count_max) orelse return error.OutOfMemory;
        return .{
            .source = source,
            .sizes = .{ .entries = entries },
            .huge_pages = options.huge_pages,
            .idle_size_max = options.idle_size_max,
        };
    }

    pub fn deinit(direct: *Direct) void {
        for (direct.sizes.entries) |entry| {
            if (entry.key == 0) continue;
            direct.source.unmap(@ptrFromInt(entry.key), @intCast(entry.value & ~reusable_flag));
        }
        direct.purge();
        direct.* = undefined;
    }

    /// Bytes that a block of `size` takes; null when no machine has as many.
    pub fn roundUp(size: usize) ?usize {
        return if (size > size_max) null else system_pages.roundUp(size);
    }

    /// `size` is from `roundUp`.
    pub fn allocate(direct: *Direct, size: usize, use: Use) ?[*]u8 {
        const reusable = !use.zeroed and !use.sparse;
        if (reusable) if (direct.takeKept(size)) |memory| return memory;
        const memory = direct.source.map(size, alignment) orelse return null;
        const value = size | if (reusable) reusable_flag else 0;
        if (!direct.source.commit(memory, size) or !direct.add(memory, value)) {
            direct.source.unmap(memory, size);
            return null;
        }
        if (direct.huge_pages and !use.sparse) direct.source.adviseHuge(memory, size, true);
        return memory;
    }

    /// The block of that size that was freed last: most of it may still be in a cache.
    fn takeKept(direct: *Direct, size: usize) ?[*]u8 {
        direct.mutex.lock();
        defer direct.mutex.unlock();
        if (direct.sizes.isFull()) return null;
        var index = direct.kept_count;
        while (index > 0) {
            index -= 1;
            if (direct.kept[index].size != size) continue;
            const memory = direct.dropKept(index).memory;
            direct.note(memory, size | reusable_flag);
            return memory;
        }
        return null;
    }

    fn add(direct: *Direct, memory: [*]u8, value: u64) bool {
        direct.mutex.lock();
        defer direct.mutex.unlock();
        if (direct.sizes.isFull()) return false;
        direct.note(memory, value);
        direct.limitIdle();
        return true;
    }

    fn note(direct: *Direct, memory: [*]u8, value: u64) void {
        direct.sizes.put(@intFromPtr(memory), value);
        change(&direct.count, 1);
        // Until now less was in use: the peak falls by that time, and counts from here.
        direct.decay.fall(direct.mapped.raw, os.now());
        change(&direct.mapped, @intCast(value & ~reusable_flag));
        direct.decay.note(direct.mapped.raw);
    }

    /// Frees the block and tells its size; null when none starts at `memory`.
    pub fn free(direct: *Direct, memory: [*]u8) ?usize {
        direct.mutex.lock();
        defer direct.mutex.unlock();
        const value = direct.sizes.remove(@intFromPtr(memory)) orelse return null;
        const size: usize = @intCast(value & ~reusable_flag);
        change(&direct.count, -1);
        change(&direct.mapped, -@as(i64, @intCast(size)));
        if (value & reusable_flag == 0) {
            direct.source.unmap(memory, size);
            return size;
        }
        if (direct.kept_count == kept_max) direct.unmapKept(0);
        direct.kept[direct.kept_count] = .{ .memory = memory, .size = size };
        direct.kept_count += 1;
        change(&direct.idle, @intCast(size));
        direct.decay.fall(direct.mapped.raw, os.now());
        direct.limitIdle();
        return size;
    }

    /// Gives back what has waited longest, until no more is kept than may be.
    fn limitIdle(direct: *Direct) void {
        const max = direct.idle_size_max orelse direct.decay.allowedIdle(direct.mapped.raw);
        while (direct.idle.raw > max) direct.unmapKept(0);
    }

    /// Gives all that is kept back to the system.
    pub fn purge(direct: *Direct) void {
        direct.mutex.lock();
        defer direct.mutex.unlock();
        direct.decay.forget(direct.mapped.raw);
        while (direct.kept_count > 0) direct.unmapKept(0);
    }

    fn unmapKept(direct: *Direct, index: usize) void {
        const gone = direct.dropKept(index);
        direct.source.unmap(gone.memory, gone.size);
    }

    fn dropKept(direct: *Direct, index: usize) Kept {
        const gone = direct.kept[index];
        const rest = direct.kept[index + 1 .. direct.kept_count];
        @memmove(direct.kept[index..][0..rest.len], rest);
        direct.kept_count -= 1;
        change(&direct.idle, -@as(i64, @intCast(gone.size)));
        return gone;
    }
};

fn change(counter: *Counter, by: i64) void {
    counter.store(counter.raw +% @as(u64, @bitCast(by)), .monotonic);
}

test "direct: mappings are zero, counted, and unknown addresses refused" {
    const Faulty = @import("source.zig").Faulty;
    var faulty: Faulty = .{};
    var meta: Meta = .{ .source = faulty.source() };
    var direct: Direct = try .init(faulty.source(), &meta, .{});
    const size = Direct.roundUp((80 << 20) + 1).?;
    const memory = direct.allocate(size, .{ .zeroed = true }).?;
    try std.testing.expectEqual(0, memory[size - 1]);
    try std.testing.expectEqual(1, direct.count.raw);
    try std.testing.expectEqual(null, direct.free(memory + 4096));
    try std.testing.expectEqual(@as(?usize, size), direct.free(memory));
    try std.testing.expectEqual(null, direct.free(memory));
    try std.testing.expectEqual(0, direct.idle.raw);
    try std.testing.expectEqual(null, Direct.roundUp(1 << 60));
    _ = direct.allocate(size, .{}).?;
    direct.deinit();
    meta.deinit();
    try std.testing.expectEqual(0, faulty.mapped.raw);
}

test "direct: what held undefined contents is reused by its size, never for zeros, and bounded" {
    const Faulty = @import("source.zig").Faulty;
    var faulty: Faulty = .{};
    var meta: Meta = .{ .source = faulty.source() };
    var direct: Direct = try .init(faulty.source(), &meta, .{});
    const size = Direct.roundUp(70 << 20).?;
    const first = direct.allocate(size, .{}).?;
    first[5] = 7;
    try std.testing.expectEqual(@as(?usize, size), direct.free(first));
    try std.testing.expectEqual(size, direct.idle.raw);
    const zeroed = direct.allocate(size, .{ .zeroed = true }).?;
    try std.testing.expect(zeroed != first and zeroed[5] == 0);
    _ = direct.free(zeroed);
    const again = direct.allocate(size, .{}).?;
    try std.testing.expectEqual(first, again);
    try std.testing.expectEqual(0, direct.idle.raw);
    // Never more than use was lately, and a sixteenth.
    _ = direct.free(again);
    const larger = direct.allocate(2 * size, .{}).?;
    try std.testing.expectEqual(0, direct.idle.raw);
    _ = direct.free(larger);
    try std.testing.expectEqual(2 * size, direct.idle.raw);
    direct.purge();
    try std.testing.expectEqual(0, direct.idle.raw);
    direct.idle_size_max = 0;
    _ = direct.free(direct.allocate(size, .{}).?);
    try std.testing.expectEqual(0, direct.idle.raw);
    _ = direct.allocate(size, .{}).?;
    direct.deinit();
    meta.deinit();
    try std.testing.expectEqual(0, faulty.mapped.raw);
}
