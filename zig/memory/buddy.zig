//! The buddy allocator: blocks of 1 to 64 MiB in arenas of 64 MiB (arena.zig) that are mapped as
//! they are needed. An index by order finds an arena in constant time: best fit by order, lowest
//! arena first, so that the last ones empty. Freed memory stays for reuse up to a bound that
//! follows recent use; beyond it whole arenas go back to the system and single units are cleared.

const std = @import("std");
const arenas = @import("arena.zig");
const AddressMap = @import("address_map.zig").AddressMap;
const ArenaIndex = @import("arena_index.zig").ArenaIndex;
const Entry = @import("address_map.zig").Entry;
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;
const Source = @import("source.zig").Source;

const Arena = arenas.Arena;
const Counter = std.atomic.Value(u64);

pub const unit_size = arenas.unit_size;
pub const block_size_max = arenas.size;
const arena_count_max = ArenaIndex.capacity;
const idle_min = 32 << 20;
/// Frees between two steps by which the remembered peak follows use down.
const decay_period = 512;

pub const Block = struct {
    memory: [*]u8,
    units: u7,
    /// Units, from the block's first as bit 0, that may hold old contents.
    dirty: u64,
};

pub const Use = struct {
    /// Of two blocks that fit alike, one without old contents is better.
    prefers_clean: bool = false,
    /// Without old contents and huge pages: it will be filled bit by bit.
    sparse: bool = false,
};

pub const Buddy = struct {
    source: Source,
    meta: *Meta,
    mutex: Mutex = .{},
    arenas: []Arena,
    by_base: AddressMap,
    index: ArenaIndex,
    huge_pages: bool,
    arena_count: std.atomic.Value(u32) = .init(0),
    mapped_count: std.atomic.Value(u32) = .init(0),
    used_units: Counter = .init(0),
    /// Free units that may hold memory.
    idle_units: Counter = .init(0),
    peak_units: u64 = 0,
    /// Null: what recent use suggests.
    idle_units_max: ?u64,
    frees: u64 = 0,

    pub const Options = struct { huge_pages: bool = true, idle_size_max: ?u64 = null };

    pub fn init(source: Source, meta: *Meta, options: Options) error{OutOfMemory}!Buddy {
        return .{
            .source = source,
            .meta = meta,
            .arenas = meta.slice(Arena, arena_count_max) orelse return error.OutOfMemory,
            .by_base = .{
                .entries = meta.slice(Entry, 2 * arena_count_max) orelse return error.OutOfMemory,
            },
            .index = ArenaIndex.init(meta) orelse return error.OutOfMemory,
            .huge_pages = options.huge_pages,
            .idle_units_max = if (options.idle_size_max) |max| max / unit_size else null,
        };
    }

    pub fn deinit(buddy: *Buddy) void {
        for (buddy.arenas[0..buddy.arena_count.raw]) |*arena| {
            if (arena.base.raw != 0) buddy.source.unmap(arena.address(0), arenas.size);
        }
        buddy.* = undefined;
    }

    /// A block of `size` bytes rounded up to units, aligned to the power of two of units above it.
    pub fn allocate(buddy: *Buddy, size: usize, use: Use) ?Block {
        std.debug.assert(size > 0 and size <= block_size_max);
        const count: u7 = @intCast((size + unit_size - 1) / unit_size);
        const order_wanted: u3 = @intCast(std.math.log2_int_ceil(u32, count));
        buddy.mutex.lock();
        defer buddy.mutex.unlock();
        const at = buddy.index.find(order_wanted) orelse at: {
            const arena = buddy.addArena() orelse return null;
            break :at ArenaIndex.Found{ .arena = arena, .order = arenas.order_count - 1 };
        };
        const arena = &buddy.arenas[at.arena];
        const start = arena.choose(at.order, use.prefers_clean or use.sparse);
        const mask = arenas.run(start, count);
        if (use.sparse) buddy.discard(arena, arena.dirty & mask);
        const huge_end = if (use.sparse) 0 else start + 2 * (size / (2 * unit_size));
        if (!buddy.prepare(arena, mask & ~arena.dirty, huge_end)) return null;
        const dirty = arena.dirty & mask;
        buddy.changeIdle(-@as(i64, @popCount(dirty)));
        arena.dirty |= mask;
        arena.take(start, count);
        buddy.index.set(at.arena, arena.orders());
        const used = buddy.used_units.raw + count;
        buddy.used_units.store(used, .monotonic);
        buddy.peak_units = @max(buddy.peak_units, used);
        return .{ .memory = arena.address(start), .units = count, .dirty = dirty >> start };
    }

    /// Frees the block that starts at `memory`, and tells its units; null when none starts there.
    pub fn free(buddy: *Buddy, memory: [*]const u8) ?u7 {
        buddy.mutex.lock();
        defer buddy.mutex.unlock();
        const place = buddy.locate(memory) orelse return null;
        const count = buddy.giveBack(place) orelse return null;
        buddy.changeIdle(count);
        buddy.frees += 1;
        if (buddy.frees % decay_period == 0) {
            buddy.peak_units -= (buddy.peak_units - buddy.used_units.raw) / 8;
        }
        const idle_max = buddy.idleMax();
        if (buddy.idle_units.raw > idle_max) buddy.purgeTo(idle_max - idle_max / 4);
        return count;
    }

    /// Frees a block all of whose memory its holder has discarded.
    pub fn freeDiscarded(buddy: *Buddy, memory: [*]const u8) void {
        buddy.mutex.lock();
        defer buddy.mutex.unlock();
        const place = buddy.locate(memory).?;
        const count = buddy.giveBack(place).?;
        buddy.arenas[place.arena].dirty &= ~arenas.run(place.unit, count);
    }

    fn giveBack(buddy: *Buddy, place: Place) ?u7 {
        const arena = &buddy.arenas[place.arena];
        const count = arena.give(place.unit) orelse return null;
        buddy.used_units.store(buddy.used_units.raw - count, .monotonic);
        buddy.index.set(place.arena, arena.orders());
        return count;
    }

    /// Gives all free memory back to the system.
    pub fn purge(buddy: *Buddy) void {
        buddy.mutex.lock();
        defer buddy.mutex.unlock();
        buddy.peak_units = buddy.used_units.raw;
        buddy.purgeTo(0);
        for (buddy.arenas[0..buddy.arena_count.raw], 0..) |*arena, index| {
            if (arena.base.raw != 0 and arena.isEmpty()) buddy.removeArena(@intCast(index));
        }
    }

    fn idleMax(buddy: *const Buddy) u64 {
        if (buddy.idle_units_max) |max| return max;
        return @max(idle_min / unit_size, buddy.peak_units - buddy.used_units.raw);
    }

    fn purgeTo(buddy: *Buddy, target: u64) void {
        var index: u32 = buddy.arena_count.raw;
        while (index > 0 and buddy.idle_units.raw > target) {
            index -= 1;
            const arena = &buddy.arenas[index];
            if (arena.base.raw == 0) continue;
            if (arena.isEmpty()) {
                buddy.removeArena(index);
                continue;
            }
            buddy.discard(arena, arena.idle());
        }
    }

    /// Gives the memory of free units back.
    fn discard(buddy: *Buddy, arena: *Arena, idle: u64) void {
        var runs: Runs = .{ .units = idle };
        while (runs.next()) |part| {
            buddy.source.discard(arena.address(part.start), part.size());
        }
        arena.dirty &= ~idle;
        buddy.changeIdle(-@as(i64, @popCount(idle)));
    }

    /// Makes `fresh` units usable, with huge pages where a pair lies below `huge_end`: the tail of
    /// a block, which nobody asked for, must not become resident with the rest.
    fn prepare(buddy: *Buddy, arena: *Arena, fresh: u64, huge_end: usize) bool {
        if (fresh == 0) return true;
        var runs: Runs = .{ .units = fresh };
        while (runs.next()) |part| {
            if (!buddy.source.commit(arena.address(part.start), part.size())) return false;
        }
        if (!buddy.huge_pages) return true;
        const pairs = fresh & (fresh >> 1) & 0x5555_5555_5555_5555;
        const wanted = if (huge_end == 0) 0 else pairs & arenas.run(0, @intCast(huge_end));
        buddy.advise(arena, wanted & ~arena.huge, true);
        buddy.advise(arena, pairs & ~wanted & arena.huge, false);
        return true;
    }

    fn advise(buddy: *Buddy, arena: *Arena, pairs: u64, huge: bool) void {
        var runs: Runs = .{ .units = pairs | pairs << 1 };
        while (runs.next()) |part| {
            buddy.source.adviseHuge(arena.address(part.start), part.size(), huge);
        }
        arena.huge = if (huge) arena.huge | pairs else arena.huge & ~pairs;
    }

    fn addArena(buddy: *Buddy) ?u32 {
        if (buddy.by_base.isFull()) return null;
        const index = for (buddy.arenas[0..buddy.arena_count.raw], 0..) |*arena, index| {
            if (arena.base.raw == 0) break index;
        } else buddy.arena_count.raw;
        if (index == arena_count_max) return null;
        const memory = buddy.source.map(arenas.size, arenas.size) orelse return null;
        buddy.arenas[index].reset(@intFromPtr(memory));
        if (index == buddy.arena_count.raw) {
            buddy.arena_count.store(@intCast(index + 1), .release);
        }
        buddy.mapped_count.store(buddy.mapped_count.raw + 1, .monotonic);
        buddy.by_base.put(@intFromPtr(memory), index);
        buddy.index.set(@intCast(index), buddy.arenas[index].orders());
        return @intCast(index);
    }

    fn removeArena(buddy: *Buddy, index: u32) void {
        const arena = &buddy.arenas[index];
        const base = arena.address(0);
        buddy.changeIdle(-@as(i64, @popCount(arena.idle())));
        _ = buddy.by_base.remove(@intFromPtr(base));
        buddy.index.set(index, 0);
        arena.free.store(0, .monotonic);
        arena.base.store(0, .monotonic);
        buddy.mapped_count.store(buddy.mapped_count.raw - 1, .monotonic);
        buddy.source.unmap(base, arenas.size);
    }

    const Place = struct { arena: u32, unit: u6 };

    fn locate(buddy: *Buddy, memory: [*]const u8) ?Place {
        const offset = @intFromPtr(memory) % arenas.size;
        const base = @intFromPtr(memory) - offset;
        if (base == 0 or offset % unit_size != 0) return null;
        const arena = buddy.by_base.get(base) orelse return null;
        return .{ .arena = @intCast(arena), .unit = @intCast(offset / unit_size) };
    }

    fn changeIdle(buddy: *Buddy, by: i64) void {
        const changed = @as(i64, @intCast(buddy.idle_units.raw)) + by;
        buddy.idle_units.store(@intCast(changed), .monotonic);
    }
};

/// Runs of set bits, from the lowest.
const Runs = struct {
    units: u64,

    const Run = struct {
        start: u6,
        count: u7,

        fn size(part: Run) usize {
            return @as(usize, part.count) * unit_size;
        }
    };

    fn next(runs: *Runs) ?Run {
        if (runs.units == 0) return null;
        const start: u6 = @intCast(@ctz(runs.units));
        const count: u7 = @ctz(~(runs.units >> start));
        runs.units &= ~arenas.run(start, count);
        return .{ .start = start, .count = count };
    }
};

const TestBuddy = struct {
    const Faulty = @import("source.zig").Faulty;

    faulty: Faulty = .{},
    meta: Meta = undefined,
    buddy: Buddy = undefined,

    fn start(fixture: *TestBuddy, options: Buddy.Options) !void {
        fixture.meta = .{ .source = fixture.faulty.source() };
        fixture.buddy = try Buddy.init(fixture.faulty.source(), &fixture.meta, options);
    }

    fn end(fixture: *TestBuddy) !void {
        fixture.buddy.deinit();
        fixture.meta.deinit();
        try std.testing.expectEqual(0, fixture.faulty.mapped.raw);
    }
};

test "buddy: blocks do not overlap, coalesce, and leave no arena behind" {
    var fixture: TestBuddy = .{};
    try fixture.start(.{});
    const buddy = &fixture.buddy;
    var blocks: [200]?Block = @splat(null);
    var prng: std.Random.DefaultPrng = .init(11);
    const random = prng.random();
    for (0..4_000) |_| {
        const slot = random.uintLessThan(usize, blocks.len);
        if (blocks[slot]) |block| {
            try std.testing.expectEqual(slot, block.memory[0]);
            try std.testing.expectEqual(@as(?u7, block.units), buddy.free(block.memory));
            try std.testing.expectEqual(null, buddy.free(block.memory));
            blocks[slot] = null;
        } else {
            const size = @as(usize, 1) << random.intRangeAtMost(u5, 16, 25);
            const block = buddy.allocate(size + random.uintLessThan(usize, size), .{}).?;
            block.memory[0] = @intCast(slot);
            if (block.dirty == 0) try std.testing.expectEqual(0, block.memory[1]);
            block.memory[1] = 1;
            blocks[slot] = block;
        }
        for (blocks, 0..) |block, other| if (block) |live| {
            try std.testing.expectEqual(other, live.memory[0]);
        };
    }
    for (blocks) |block| if (block) |live| {
        _ = buddy.free(live.memory);
    };
    try std.testing.expectEqual(0, buddy.used_units.raw);
    buddy.purge();
    try std.testing.expectEqual(0, buddy.idle_units.raw);
    try std.testing.expectEqual(0, buddy.mapped_count.raw);
    try fixture.end();
}

test "buddy: idle memory stays within its bound and a cleared block reads zero" {
    var fixture: TestBuddy = .{};
    try fixture.start(.{ .idle_size_max = 8 << 20 });
    const buddy = &fixture.buddy;
    const keep = buddy.allocate(1 << 20, .{}).?;
    const large = buddy.allocate(16 << 20, .{}).?;
    @memset(large.memory[0 .. 16 << 20], 1);
    _ = buddy.free(large.memory);
    try std.testing.expect(buddy.idle_units.raw <= 8);
    const again = buddy.allocate(16 << 20, .{ .prefers_clean = true }).?;
    try std.testing.expectEqual(0, again.dirty);
    try std.testing.expectEqual(0, again.memory[9 << 20]);
    again.memory[0] = 1;
    _ = buddy.free(again.memory);
    const sparse = buddy.allocate(16 << 20, .{ .sparse = true }).?;
    try std.testing.expectEqual(0, sparse.dirty | sparse.memory[0]);
    _ = buddy.free(sparse.memory);
    _ = buddy.free(keep.memory);
    try fixture.end();
}

test "buddy: a refused page leaves it as it was" {
    var fixture: TestBuddy = .{};
    try fixture.start(.{});
    const buddy = &fixture.buddy;
    fixture.faulty.fail_at = fixture.faulty.calls.raw;
    try std.testing.expectEqual(null, buddy.allocate(1 << 20, .{}));
    fixture.faulty.fail_at = fixture.faulty.calls.raw + 1;
    try std.testing.expectEqual(null, buddy.allocate(1 << 20, .{}));
    try std.testing.expectEqual(0, buddy.used_units.raw);
    try std.testing.expect(buddy.allocate(64 << 20, .{}) != null);
    try std.testing.expectEqual(64, buddy.used_units.raw);
    try fixture.end();
}
