//! Blocks from 1 MiB to nearly 64 MiB, and the spans of small ones: runs of 64 KiB units in arenas
//! that are mapped as they are needed. Arenas are indexed by order as buddies are, neighbours
//! coalesce when they are freed, but blocks need not lie at multiples of a power of two: so placed,
//! a block of 1.3 MiB would leave 0.7 MiB that no other block could take (docs/memory.md has the
//! figures).
//!
//! Freed memory stays for reuse up to a bound that follows recent use; what is beyond it goes back
//! to the system, the last arenas' first.

const std = @import("std");
const arenas = @import("arena.zig");
const AddressMap = @import("address_map.zig").AddressMap;
const ArenaIndex = @import("arena_index.zig").ArenaIndex;
const Bits = @import("bits.zig").Bits;
const Decay = @import("decay.zig").Decay;
const Entry = @import("address_map.zig").Entry;
const Header = arenas.Header;
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;
const Run = @import("bits.zig").Run;
const Source = @import("source.zig").Source;
const span_flag = arenas.span_flag;

const Arena = arenas.Arena;
const Counter = std.atomic.Value(u64);

pub const unit_size = arenas.unit_size;
pub const block_size_max = @as(usize, arenas.usable.count) * unit_size;
const arena_count_max = ArenaIndex.capacity;
const idle_min = (32 << 20) / unit_size;
const group_units = (2 << 20) / unit_size;
/// Memory is given back in steps of these, so that little more goes than has to.
const purge_units = 32;

pub const Use = struct {
    zeroed: bool = false,
    /// Filled bit by bit: no huge pages, and no memory before it is touched.
    sparse: bool = false,
    /// For small blocks, freed by `freeSpan`.
    span: bool = false,
};

pub const Buddy = struct {
    source: Source,
    mutex: Mutex = .{},
    arenas: []Arena,
    by_base: AddressMap,
    index: ArenaIndex,
    huge_pages: bool,
    arena_count: std.atomic.Value(u32) = .init(0),
    mapped_count: std.atomic.Value(u32) = .init(0),
    /// Units of blocks, and of spans.
    block_units: Counter = .init(0),
    span_units: Counter = .init(0),
    /// Free units that may hold memory.
    idle_units: Counter = .init(0),
    /// Null: what recent use suggests.
    idle_units_max: ?u64,
    decay: Decay = .{},

    pub const Options = struct { huge_pages: bool = true, idle_size_max: ?u64 = null };

    pub fn init(source: Source, meta: *Meta, options: Options) error{OutOfMemory}!Buddy {
        return .{
            .source = source,
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
            if (arena.base.raw != 0) {
                buddy.source.unmap(@ptrFromInt(arena.base.raw), arenas.size);
            }
        }
        buddy.* = undefined;
    }

    /// A block of `size` bytes rounded up to units.
    pub fn allocate(buddy: *Buddy, size: usize, use: Use) ?[*]u8 {
        std.debug.assert(size > 0 and size <= block_size_max);
        const count: u16 = @intCast((size + unit_size - 1) / unit_size);
        const place, const dirty = place: {
            buddy.mutex.lock();
            defer buddy.mutex.unlock();
            const place = buddy.find(count) orelse return null;
            const arena = &buddy.arenas[place.arena];
            if (use.sparse) buddy.discard(arena, place.run);
            const dirty_count = arena.dirty.count(place.run);
            if (dirty_count < count) {
                const dense_units = if (use.sparse or use.span) 0 else size / unit_size;
                if (!buddy.prepare(arena, place.run, dense_units)) return null;
            }
            // Only who wants zeros needs to know which units to clear.
            const dirty: ?Bits = if (use.zeroed and dirty_count > 0) arena.dirty else null;
            buddy.take(place, dirty_count, use.span);
            break :place .{ place, dirty };
        };
        const header = buddy.arenas[place.arena].header();
        const memory = header.memoryOf(place.run.start);
        if (dirty) |units| buddy.zero(header, place.run, size, &units);
        return memory;
    }

    fn take(buddy: *Buddy, place: Place, dirty_count: u16, span: bool) void {
        const arena = &buddy.arenas[place.arena];
        const count = place.run.count;
        change(&buddy.idle_units, -@as(i64, dirty_count));
        arena.dirty.set(place.run);
        arena.take(place.run);
        buddy.index.set(place.arena, arena.longest.raw);
        arena.header().lengths[place.run.start] = if (span) count | span_flag else count;
        change(if (span) &buddy.span_units else &buddy.block_units, count);
        buddy.decay.note(buddy.usedUnits());
    }

    /// Overwrites old contents, without the lock: the block is this thread's already.
    fn zero(_: *Buddy, header: *Header, run: Run, size: usize, dirty: *const Bits) void {
        const end = @intFromPtr(header.memoryOf(run.start)) + size;
        var left = run;
        while (dirty.firstRun(left)) |part| {
            const after = part.start + part.count;
            left.count = left.start + left.count - after;
            left.start = after;
            const memory = header.memoryOf(part.start);
            const part_size = @as(usize, part.count) * unit_size;
            @memset(memory[0..@min(part_size, end -| @intFromPtr(memory))], 0);
        }
    }

    /// Frees the block that starts at `memory`, and tells its bytes; null when none starts there.
    pub fn free(buddy: *Buddy, memory: [*]const u8) ?usize {
        buddy.mutex.lock();
        defer buddy.mutex.unlock();
        const place = buddy.locate(memory) orelse return null;
        if (place.run.count & span_flag != 0) return null;
        buddy.giveBack(place);
        change(&buddy.block_units, -@as(i64, place.run.count));
        buddy.limitIdle();
        return @as(usize, place.run.count) * unit_size;
    }

    /// Frees a span, whose header says all.
    pub fn freeSpan(buddy: *Buddy, memory: [*]const u8) void {
        buddy.mutex.lock();
        defer buddy.mutex.unlock();
        var place = buddy.locate(memory).?;
        place.run.count &= ~span_flag;
        buddy.giveBack(place);
        change(&buddy.span_units, -@as(i64, place.run.count));
        buddy.limitIdle();
    }

    fn giveBack(buddy: *Buddy, place: Place) void {
        const arena = &buddy.arenas[place.arena];
        arena.header().lengths[place.run.start] = 0;
        arena.give(place.run);
        buddy.index.set(place.arena, arena.longest.raw);
        change(&buddy.idle_units, place.run.count);
    }

    fn limitIdle(buddy: *Buddy) void {
        const used = buddy.usedUnits();
        buddy.decay.step(used);
        const max = buddy.idle_units_max orelse @max(idle_min, buddy.decay.allowedIdle(used));
        if (buddy.idle_units.raw > max) buddy.purgeTo(max - max / 16);
    }

    fn usedUnits(buddy: *const Buddy) u64 {
        return buddy.block_units.raw + buddy.span_units.raw;
    }

    /// Gives all free memory back to the system.
    pub fn purge(buddy: *Buddy) void {
        buddy.mutex.lock();
        defer buddy.mutex.unlock();
        buddy.decay.forget(buddy.usedUnits());
        buddy.purgeTo(0);
        for (buddy.arenas[0..buddy.arena_count.raw], 0..) |*arena, index| {
            if (arena.base.raw != 0 and arena.isEmpty()) buddy.removeArena(@intCast(index));
        }
    }

    /// Gives back free memory until `target` idle units are left: from the last arena down, because
    /// blocks go into the first.
    fn purgeTo(buddy: *Buddy, target: u64) void {
        var index: u32 = buddy.arena_count.raw;
        while (index > 0 and buddy.idle_units.raw > target) {
            index -= 1;
            const arena = &buddy.arenas[index];
            if (arena.base.raw == 0) continue;
            const excess = buddy.idle_units.raw - target;
            if (arena.isEmpty() and arena.idle().count(arenas.usable) <= excess) {
                buddy.removeArena(index);
                continue;
            }
            var start: u16 = arenas.unit_count;
            while (start > 0 and buddy.idle_units.raw > target) {
                start -= purge_units;
                buddy.discard(arena, .{ .start = start, .count = purge_units });
            }
        }
    }

    /// Gives back the memory of those of these units that are free and may hold some.
    fn discard(buddy: *Buddy, arena: *Arena, within: Run) void {
        const idle = arena.idle();
        var left = within;
        while (idle.firstRun(left)) |run| {
            const memory = arena.header().memoryOf(run.start);
            buddy.source.discard(memory, @as(usize, run.count) * unit_size);
            arena.dirty.clear(run);
            change(&buddy.idle_units, -@as(i64, run.count));
            left.count = left.start + left.count - (run.start + run.count);
            left.start = run.start + run.count;
        }
    }

    /// Makes the clean units of a run usable, with huge pages for groups that lie in its first
    /// `dense_units` and are clean: what nobody asked for must not become resident with the rest.
    fn prepare(buddy: *Buddy, arena: *Arena, run: Run, dense_units: usize) bool {
        var clean: Bits = undefined;
        for (&clean.words, arena.dirty.words) |*to, word| to.* = ~word;
        var left = run;
        while (clean.firstRun(left)) |part| {
            const memory = arena.header().memoryOf(part.start);
            if (!buddy.source.commit(memory, @as(usize, part.count) * unit_size)) return false;
            left.count = left.start + left.count - (part.start + part.count);
            left.start = part.start + part.count;
        }
        if (buddy.huge_pages) buddy.advise(arena, run, dense_units);
        return true;
    }

    fn advise(buddy: *Buddy, arena: *Arena, run: Run, dense_units: usize) void {
        const first = run.start / group_units;
        const last = (run.start + run.count - 1) / group_units;
        for (first..last + 1) |group| {
            const start: u16 = @intCast(group * group_units);
            const units: Run = .{ .start = start, .count = group_units };
            if (arena.dirty.count(units) > 0) continue;
            const wants = start >= run.start and start + group_units <= run.start + dense_units;
            const bit = @as(u32, 1) << @intCast(group);
            if (wants == (arena.huge & bit != 0)) continue;
            const memory = arena.header().memoryOf(start);
            buddy.source.adviseHuge(memory, group_units * unit_size, wants);
            arena.huge ^= bit;
        }
    }

    const Place = struct { arena: u32, run: Run };

    fn find(buddy: *Buddy, count: u16) ?Place {
        // An arena just below the order that surely fits may have a run that does.
        const order = std.math.log2_int(u16, count);
        if (buddy.index.first(order)) |arena| {
            if (buddy.arenas[arena].find(count)) |run| return .{ .arena = arena, .run = run };
        }
        const arena = buddy.index.findSure(count) orelse buddy.addArena() orelse return null;
        return .{ .arena = arena, .run = buddy.arenas[arena].find(count).? };
    }

    fn addArena(buddy: *Buddy) ?u32 {
        if (buddy.by_base.isFull()) return null;
        const index = for (buddy.arenas[0..buddy.arena_count.raw], 0..) |*arena, index| {
            if (arena.base.raw == 0) break index;
        } else buddy.arena_count.raw;
        if (index == arena_count_max) return null;
        const memory = buddy.source.map(arenas.size, arenas.size) orelse return null;
        if (!buddy.source.commit(memory, arenas.header_units * unit_size)) {
            buddy.source.unmap(memory, arenas.size);
            return null;
        }
        buddy.arenas[index].reset(@intFromPtr(memory));
        if (index == buddy.arena_count.raw) {
            buddy.arena_count.store(@intCast(index + 1), .release);
        }
        buddy.mapped_count.store(buddy.mapped_count.raw + 1, .monotonic);
        buddy.by_base.put(@intFromPtr(memory), index);
        buddy.index.set(@intCast(index), buddy.arenas[index].longest.raw);
        return @intCast(index);
    }

    fn removeArena(buddy: *Buddy, index: u32) void {
        const arena = &buddy.arenas[index];
        const base = arena.base.raw;
        change(&buddy.idle_units, -@as(i64, arena.idle().count(arenas.usable)));
        _ = buddy.by_base.remove(base);
        buddy.index.set(index, 0);
        arena.base.store(0, .monotonic);
        arena.free_count.store(0, .monotonic);
        arena.longest.store(0, .monotonic);
        buddy.mapped_count.store(buddy.mapped_count.raw - 1, .monotonic);
        buddy.source.unmap(@ptrFromInt(base), arenas.size);
    }

    /// Where the block or span is that starts at `memory`; its count still has the span's flag.
    fn locate(buddy: *Buddy, memory: [*]const u8) ?Place {
        const offset = @intFromPtr(memory) % arenas.size;
        const base = @intFromPtr(memory) - offset;
        if (base == 0 or offset % unit_size != 0) return null;
        const arena: u32 = @intCast(buddy.by_base.get(base) orelse return null);
        const unit: u16 = @intCast(offset / unit_size);
        const length = buddy.arenas[arena].header().lengths[unit];
        if (length == 0) return null;
        return .{ .arena = arena, .run = .{ .start = unit, .count = length } };
    }
};

fn change(counter: *Counter, by: i64) void {
    counter.store(counter.raw +% @as(u64, @bitCast(by)), .monotonic);
}
