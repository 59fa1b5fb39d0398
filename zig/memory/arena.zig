//! One arena: 64 MiB of address space in 1,024 units of 64 KiB, free or not by one bit each. The
//! first units hold a header: which block or span each unit belongs to, and the spans themselves.
//! Freeing sets bits, so neighbours coalesce by themselves; a block goes into the first run that
//! holds it, so what is left beside it stays in one piece.

const std = @import("std");
const bitrows = @import("bits.zig");
const Cache = @import("cache.zig").Cache;
const Span = @import("span.zig").Span;

const Bits = bitrows.Bits;
const Parts = bitrows.Parts;
const Run = bitrows.Run;
const WordRuns = bitrows.WordRuns;

pub const unit_size = 64 << 10;
pub const unit_count = bitrows.bit_count;
pub const size = unit_size * unit_count;
pub const header_units = (@sizeOf(Header) + unit_size - 1) / unit_size;
/// The units that blocks may have.
pub const usable: Run = .{ .start = header_units, .count = unit_count - header_units };

/// At the start of the arena itself, found from the address of anything in it.
pub const Header = struct {
    /// For each unit of a span what others may ask of it. Apart from the spans, to which their
    /// owners write all the time.
    units: [unit_count]Unit align(64),
    /// Units of the block or span that starts here; 0 where none does.
    lengths: [unit_count]u16,
    spans: [unit_count]Span,

    pub inline fn of(memory: *const anyopaque) *Header {
        return @ptrFromInt(@intFromPtr(memory) & ~@as(usize, size - 1));
    }

    pub fn memoryOf(header: *Header, unit: u16) [*]u8 {
        return @as([*]u8, @ptrCast(header)) + @as(usize, unit) * unit_size;
    }
};

pub const Unit = struct {
    owner: *Cache,
    block_size: u32,
    /// The unit at which the span starts, and where it stands in `Header.spans`.
    first: u16,
};

/// Set in `Header.lengths` for a span, which only its owner may free.
pub const span_flag: u16 = 0x8000;

/// Beside the arena, so that it can be read when the arena is gone.
pub const Arena = struct {
    /// 0 while the arena is not mapped. Read without a lock by metrics, as the next two.
    base: std.atomic.Value(usize),
    free_count: std.atomic.Value(u16),
    longest: std.atomic.Value(u16),
    free: Bits,
    runs: [unit_count / 64]WordRuns,
    /// Units that were handed out since the system last cleared them.
    dirty: Bits,
    /// Groups of units for which huge pages are asked.
    huge: u32,

    pub fn reset(arena: *Arena, base: usize) void {
        arena.base.store(base, .monotonic);
        arena.dirty = .none;
        arena.huge = 0;
        arena.free = .none;
        arena.free_count.raw = 0;
        arena.give(usable);
    }

    pub fn header(arena: *const Arena) *Header {
        return @ptrFromInt(arena.base.raw);
    }

    pub fn isEmpty(arena: *const Arena) bool {
        return arena.free_count.raw == usable.count;
    }

    /// Units that are free but may hold memory.
    pub fn idle(arena: *const Arena) Bits {
        return arena.free.both(&arena.dirty);
    }

    /// The first run of `count` free units; null when there is none.
    pub fn find(arena: *const Arena, count: u16) ?Run {
        var before: u16 = 0;
        for (arena.runs, 0..) |runs, word| {
            const start: u16 = @intCast(word * 64);
            if (before + runs.first >= count) return .{ .start = start - before, .count = count };
            if (runs.longest >= count) {
                const bit = @ctz(bitrows.startsOf(arena.free.words[word], count));
                return .{ .start = start + bit, .count = count };
            }
            before = if (runs.first == 64) before + 64 else runs.last;
        }
        return null;
    }

    pub fn take(arena: *Arena, run: Run) void {
        std.debug.assert(arena.free.count(run) == run.count);
        arena.free.clear(run);
        arena.free_count.store(arena.free_count.raw - run.count, .monotonic);
        arena.measure(run);
    }

    pub fn give(arena: *Arena, run: Run) void {
        arena.free.set(run);
        arena.free_count.store(arena.free_count.raw + run.count, .monotonic);
        arena.measure(run);
    }

    /// Finds the longest run again after a change of these units.
    fn measure(arena: *Arena, changed: Run) void {
        if (changed.count == usable.count) {
            for (&arena.runs, arena.free.words) |*runs, word| runs.* = .of(word);
        } else {
            var parts: Parts = .of(changed);
            while (parts.next()) |part| arena.runs[part.word] = .of(arena.free.words[part.word]);
        }
        var longest: u16 = 0;
        var before: u16 = 0;
        for (arena.runs) |runs| {
            longest = @max(longest, before + runs.first, runs.longest);
            before = if (runs.first == 64) before + 64 else runs.last;
        }
        arena.longest.store(@max(longest, before), .monotonic);
    }
};

test "arena: the header leaves nearly all to blocks" {
    try std.testing.expectEqual(2, header_units);
}

test "arena: runs are found where they are, first ones first, and coalesce" {
    var prng: std.Random.DefaultPrng = .init(3);
    const random = prng.random();
    var arena: Arena = undefined;
    arena.reset(size);
    var taken: [300]?Run = @splat(null);
    for (0..20_000) |_| {
        const slot = random.uintLessThan(usize, taken.len);
        if (taken[slot]) |run| {
            arena.give(run);
            taken[slot] = null;
        } else {
            const power = @as(u16, 1) << random.uintAtMost(u4, 6);
            const count = power + random.uintLessThan(u16, power);
            const run = arena.find(count);
            try expectFirst(&arena, count, run);
            if (run) |found| arena.take(found);
            taken[slot] = run;
        }
    }
    for (taken) |run| if (run) |live| arena.give(live);
    try std.testing.expect(arena.isEmpty());
    try std.testing.expectEqual(usable.count, arena.longest.raw);
}

fn expectFirst(arena: *const Arena, count: u16, found: ?Run) !void {
    var length: u16 = 0;
    var longest: u16 = 0;
    for (0..unit_count) |unit| {
        length = if (arena.free.has(@intCast(unit))) length + 1 else 0;
        longest = @max(longest, length);
        if (length == count) {
            return std.testing.expectEqual(unit + 1 - count, found.?.start);
        }
    }
    try std.testing.expectEqual(null, found);
    try std.testing.expectEqual(longest, arena.longest.raw);
}
