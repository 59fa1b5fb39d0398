//! A row of 1,024 bits, one for each unit of an arena, and the runs of set bits in it.

const std = @import("std");

pub const bit_count = 1024;
const word_count = bit_count / 64;
const all: u64 = std.math.maxInt(u64);

pub const Run = struct { start: u16, count: u16 };

pub const Bits = struct {
    words: [word_count]u64,

    pub const none: Bits = .{ .words = @splat(0) };

    pub fn set(bits: *Bits, run: Run) void {
        var parts: Parts = .of(run);
        while (parts.next()) |part| bits.words[part.word] |= part.mask;
    }

    pub fn clear(bits: *Bits, run: Run) void {
        var parts: Parts = .of(run);
        while (parts.next()) |part| bits.words[part.word] &= ~part.mask;
    }

    /// How many bits of the run are set.
    pub fn count(bits: *const Bits, run: Run) u16 {
        var found: u16 = 0;
        var parts: Parts = .of(run);
        while (parts.next()) |part| found += @popCount(bits.words[part.word] & part.mask);
        return found;
    }

    pub fn has(bits: *const Bits, at: u16) bool {
        return bits.words[at / 64] >> @intCast(at % 64) & 1 != 0;
    }

    /// The bits of both.
    pub fn both(bits: *const Bits, other: *const Bits) Bits {
        var result: Bits = undefined;
        for (&result.words, bits.words, other.words) |*to, a, b| to.* = a & b;
        return result;
    }

    /// The first run of set bits within `within`, cut to it.
    pub fn firstRun(bits: *const Bits, within: Run) ?Run {
        const end = within.start + within.count;
        const start = bits.next(within.start, end, 0);
        if (start == end) return null;
        return .{ .start = start, .count = bits.next(start, end, all) - start };
    }

    /// The first bit from `from` that differs from those of `like`; `end` when there is none.
    fn next(bits: *const Bits, from: u16, end: u16, like: u64) u16 {
        var at = from;
        while (at < end) {
            const rest = (bits.words[at / 64] ^ like) >> @intCast(at % 64);
            if (rest != 0) return @min(end, at + @ctz(rest));
            at = (at / 64 + 1) * 64;
        }
        return end;
    }
};

/// A run word by word.
pub const Parts = struct {
    at: u16,
    left: u16,

    pub const Part = struct { word: u8, mask: u64 };

    pub fn of(run: Run) Parts {
        std.debug.assert(run.start + run.count <= bit_count);
        return .{ .at = run.start, .left = run.count };
    }

    pub fn next(parts: *Parts) ?Part {
        if (parts.left == 0) return null;
        const bit: u6 = @intCast(parts.at % 64);
        const count = @min(parts.left, 64 - @as(u16, bit));
        const part: Part = .{
            .word = @intCast(parts.at / 64),
            .mask = (all >> @intCast(64 - count)) << bit,
        };
        parts.at += count;
        parts.left -= count;
        return part;
    }
};

/// What the longest run of a row is made of: the runs of one word.
pub const WordRuns = struct {
    /// From the lowest bit up, from the highest down, and anywhere.
    first: u8,
    last: u8,
    longest: u8,

    pub fn of(word: u64) WordRuns {
        return .{ .first = @ctz(~word), .last = @clz(~word), .longest = longestRun(word) };
    }
};

/// Bits from which `length` bits in a row are set, 1 to 64.
pub fn startsOf(word: u64, length: u16) u64 {
    var found = word;
    var have: u16 = 1;
    while (have < length) {
        const step = @min(have, length - have);
        found &= found >> @intCast(step);
        have += step;
    }
    return found;
}

fn longestRun(word: u64) u8 {
    if (word == all) return 64;
    if (word == 0) return 0;
    // Starts of runs of 1, 2, 4 .. 32; then the longest is built of them, largest first.
    var powers: [6]u64 = undefined;
    powers[0] = word;
    inline for (1..powers.len) |power| {
        powers[power] = powers[power - 1] & (powers[power - 1] >> (1 << (power - 1)));
    }
    var found: u64 = all;
    var length: u8 = 0;
    var power: u8 = powers.len;
    while (power > 0) {
        power -= 1;
        const longer = found & (powers[power] >> @intCast(length));
        if (longer == 0) continue;
        found = longer;
        length += @as(u8, 1) << @intCast(power);
    }
    return length;
}

test "bits: runs across words are set, counted and found" {
    var bits: Bits = .none;
    bits.set(.{ .start = 60, .count = 200 });
    try std.testing.expectEqual(200, bits.count(.{ .start = 0, .count = bit_count }));
    try std.testing.expectEqual(Run{ .start = 60, .count = 200 }, bits.firstRun(whole).?);
    bits.clear(.{ .start = 64, .count = 1 });
    try std.testing.expectEqual(Run{ .start = 60, .count = 4 }, bits.firstRun(whole).?);
    const cut = bits.firstRun(.{ .start = 100, .count = 10 }).?;
    try std.testing.expectEqual(Run{ .start = 100, .count = 10 }, cut);
    try std.testing.expectEqual(null, bits.firstRun(.{ .start = 260, .count = 700 }));
    try std.testing.expect(bits.has(259) and !bits.has(64));
}

const whole: Run = .{ .start = 0, .count = bit_count };

test "bits: the longest run of a word is found" {
    var prng: std.Random.DefaultPrng = .init(5);
    for (0..5_000) |round| {
        var word = prng.random().int(u64);
        for (0..round % 6) |_| word |= prng.random().int(u64);
        var want: u8 = 0;
        while (want < 64 and startsOf(word, want + 1) != 0) want += 1;
        try std.testing.expectEqual(want, longestRun(word));
    }
    try std.testing.expectEqual(64, longestRun(all));
}
