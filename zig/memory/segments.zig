//! Slices for spans: segments from the buddy allocator, binned by their longest run of free slices
//! so that the fullest one that fits is found in constant time. Under a lock; threads come here for
//! whole spans only. Freed slices keep their memory up to a bound that follows recent use.

const std = @import("std");
const Buddy = @import("buddy.zig").Buddy;
const Cache = @import("cache.zig").Cache;
const Limit = @import("limit.zig").Limit;
const Mutex = @import("../threads/sync.zig").Mutex;
const size_class = @import("size_class.zig");
const spans = @import("span.zig");

const Counter = std.atomic.Value(u64);
const Segment = spans.Segment;
const Span = spans.Span;

const slice_size = spans.slice_size;
/// All but the header's.
const all_slices: u64 = ~@as(u64, 1);
const idle_slices_min = (8 << 20) / slice_size;
/// Releases between two steps by which the remembered peak follows use down.
const decay_period = 512;

pub const Segments = struct {
    buddy: *Buddy,
    limit: *Limit,
    mutex: Mutex = .{},
    all: ?*Segment = null,
    bins: [spans.slice_count]?*Segment = @splat(null),
    /// A bit for each bin that is not empty.
    bin_bits: u64 = 0,
    /// Segments without any span; one is kept.
    empty_count: u32 = 0,
    segment_count: Counter = .init(0),
    used_slices: Counter = .init(0),
    /// Free slices that may hold memory.
    idle_slices: Counter = .init(0),
    peak_slices: u64 = 0,
    releases: u64 = 0,

    /// A new span for `owner`; null when the limit or the system refuses.
    pub fn acquire(segments: *Segments, class: size_class.Class, owner: *Cache) ?*Span {
        const slices = size_class.cutOf(class).slices;
        const size = @as(usize, slices) * slice_size;
        if (!segments.limit.take(size)) return null;
        segments.mutex.lock();
        defer segments.mutex.unlock();
        const place = segments.takeSlices(slices) orelse {
            segments.limit.giveBack(size);
            return null;
        };
        const segment = place.segment;
        for (segment.first[place.slice..][0..slices]) |*first| first.* = place.slice;
        const span = &segment.spans[place.slice];
        span.reset(.{
            .memory = segment.memoryOf(place.slice),
            .slice = place.slice,
            .slices = slices,
        }, class, owner);
        return span;
    }

    /// Takes back a span without live blocks.
    pub fn release(segments: *Segments, span: *Span) void {
        std.debug.assert(span.used == 0);
        const size = span.size();
        segments.mutex.lock();
        defer segments.mutex.unlock();
        const segment = spans.segmentOf(span);
        const mask = run(span.slice, span.slices);
        segments.change(&segments.used_slices, -@as(i64, span.slices));
        segments.change(&segments.idle_slices, span.slices);
        segments.setFree(segment, segment.free | mask);
        if (segment.free == all_slices) segments.retire(segment);
        segments.limit.giveBack(size);
        segments.releases += 1;
        if (segments.releases % decay_period == 0) {
            segments.peak_slices -= (segments.peak_slices - segments.used_slices.raw) / 8;
        }
        const idle_max = @max(idle_slices_min, segments.peak_slices - segments.used_slices.raw);
        if (segments.idle_slices.raw > idle_max) segments.purgeTo(idle_max - idle_max / 4);
    }

    /// Gives the memory of all free slices back, and empty segments to the buddy allocator.
    pub fn purge(segments: *Segments) void {
        segments.mutex.lock();
        defer segments.mutex.unlock();
        segments.peak_slices = segments.used_slices.raw;
        var next = segments.all;
        while (next) |segment| {
            next = segment.next;
            if (segment.free == all_slices) segments.removeSegment(segment);
        }
        segments.purgeTo(0);
    }

    /// Blocks of each class that are not free; what is freed to an inbox counts until it is taken.
    pub fn countBlocks(segments: *Segments, counts: *[size_class.count]u64) void {
        counts.* = @splat(0);
        segments.mutex.lock();
        defer segments.mutex.unlock();
        var next = segments.all;
        while (next) |segment| : (next = segment.next) {
            var rest = all_slices & ~segment.free;
            while (rest != 0) {
                const span = &segment.spans[@ctz(rest)];
                counts[span.class] += @atomicLoad(u16, &span.used, .monotonic);
                rest &= ~run(span.slice, span.slices);
            }
        }
    }

    const Found = struct { segment: *Segment, slice: u8 };

    fn takeSlices(segments: *Segments, slices: u8) ?Found {
        const bins = segments.bin_bits & (~@as(u64, 0) << @intCast(slices));
        const segment = if (bins != 0)
            segments.bins[@ctz(bins)].?
        else
            segments.addSegment() orelse return null;
        const slice: u8 = @ctz(runsOf(segment.free, slices));
        const mask = run(slice, slices);
        if (segment.discarded & mask != 0) {
            const memory = segment.memoryOf(slice);
            if (!segments.buddy.source.commit(memory, @as(usize, slices) * slice_size)) return null;
            segment.discarded &= ~mask;
        }
        if (segment.free == all_slices) segments.empty_count -= 1;
        segments.change(&segments.idle_slices, -@as(i64, @popCount(segment.dirty & mask)));
        segments.change(&segments.used_slices, slices);
        segments.peak_slices = @max(segments.peak_slices, segments.used_slices.raw);
        segment.dirty |= mask;
        segments.setFree(segment, segment.free & ~mask);
        return .{ .segment = segment, .slice = slice };
    }

    fn addSegment(segments: *Segments) ?*Segment {
        const block = segments.buddy.allocate(spans.segment_size, .{}) orelse return null;
        const segment: *Segment = @ptrCast(@alignCast(block.memory));
        segment.free = 0;
        // What the block held before may still be there, in any of its slices.
        segment.dirty = if (block.dirty == 0) 0 else all_slices;
        segment.discarded = 0;
        segment.run_max = 0;
        segment.previous = null;
        segment.next = segments.all;
        if (segments.all) |second| second.previous = segment;
        segments.all = segment;
        segments.empty_count += 1;
        segments.change(&segments.segment_count, 1);
        segments.change(&segments.idle_slices, @popCount(segment.dirty));
        segments.setFree(segment, all_slices);
        return segment;
    }

    /// Keeps one empty segment for what comes next.
    fn retire(segments: *Segments, segment: *Segment) void {
        segments.empty_count += 1;
        if (segments.empty_count > 1) segments.removeSegment(segment);
    }

    fn removeSegment(segments: *Segments, segment: *Segment) void {
        if (segment.discarded != 0) {
            const size = spans.segment_size - slice_size;
            // Without its memory the segment is no whole block; it stays and may be used again.
            if (!segments.buddy.source.commit(segment.memoryOf(1), size)) return;
        }
        segments.setFree(segment, 0);
        if (segment.previous) |before| before.next = segment.next else segments.all = segment.next;
        if (segment.next) |after| after.previous = segment.previous;
        segments.empty_count -= 1;
        segments.change(&segments.segment_count, -1);
        segments.change(&segments.idle_slices, -@as(i64, @popCount(segment.dirty)));
        const units = segments.buddy.free(@ptrCast(segment));
        std.debug.assert(units != null);
    }

    /// Clears free slices until at most `target` of them may hold memory.
    fn purgeTo(segments: *Segments, target: u64) void {
        var next = segments.all;
        while (next) |segment| : (next = segment.next) {
            if (segments.idle_slices.raw <= target) return;
            const idle = segment.free & segment.dirty;
            var rest = idle;
            while (rest != 0) {
                const slice: u8 = @ctz(rest);
                const length: u8 = @ctz(~(rest >> @intCast(slice)));
                rest &= ~run(slice, length);
                const size = @as(usize, length) * slice_size;
                segments.buddy.source.discard(segment.memoryOf(slice), size);
            }
            segment.dirty &= ~idle;
            segment.discarded |= idle;
            segments.change(&segments.idle_slices, -@as(i64, @popCount(idle)));
        }
    }

    /// Sets the free slices of a segment and moves it to the bin of its longest run.
    fn setFree(segments: *Segments, segment: *Segment, free: u64) void {
        segment.free = free;
        const run_max = longestRun(free);
        if (run_max == segment.run_max) return;
        if (segment.run_max != 0) segments.unbin(segment);
        segment.run_max = run_max;
        if (run_max == 0) return;
        const bin = &segments.bins[run_max];
        segment.previous_in_bin = null;
        segment.next_in_bin = bin.*;
        if (bin.*) |second| second.previous_in_bin = segment;
        bin.* = segment;
        segments.bin_bits |= run(run_max, 1);
    }

    fn unbin(segments: *Segments, segment: *Segment) void {
        const bin = &segments.bins[segment.run_max];
        if (segment.next_in_bin) |after| after.previous_in_bin = segment.previous_in_bin;
        if (segment.previous_in_bin) |before| {
            before.next_in_bin = segment.next_in_bin;
        } else {
            bin.* = segment.next_in_bin;
            if (bin.* == null) segments.bin_bits &= ~run(segment.run_max, 1);
        }
    }

    fn change(_: *Segments, counter: *Counter, by: i64) void {
        counter.store(counter.raw +% @as(u64, @bitCast(by)), .monotonic);
    }
};

/// `length` bits from `start`; 1 to 63 of them.
fn run(start: u8, length: u8) u64 {
    return ((@as(u64, 1) << @intCast(length)) - 1) << @intCast(start);
}

/// Bits from which `length` bits in a row are set.
fn runsOf(bits: u64, length: u8) u64 {
    var found = bits;
    var have: u8 = 1;
    while (have < length) {
        const step = @min(have, length - have);
        found &= found >> @intCast(step);
        have += step;
    }
    return found;
}

fn longestRun(bits: u64) u8 {
    if (bits == 0) return 0;
    // Starts of runs of 1, 2, 4 .. 32; then the longest is built of them, largest first.
    var powers: [6]u64 = undefined;
    powers[0] = bits;
    for (1..powers.len) |power| {
        const half = @as(u6, 1) << @intCast(power - 1);
        powers[power] = powers[power - 1] & (powers[power - 1] >> half);
    }
    var found: u64 = 0;
    var length: u6 = 0;
    var power: usize = powers.len;
    while (power > 0) {
        power -= 1;
        const longer = if (length == 0) powers[power] else found & (powers[power] >> length);
        if (longer == 0) continue;
        found = longer;
        length += @as(u6, 1) << @intCast(power);
    }
    return length;
}

test "segments: the longest run of bits is found" {
    var prng: std.Random.DefaultPrng = .init(5);
    for (0..5_000) |round| {
        var bits = prng.random().int(u64) & all_slices;
        for (0..round % 5) |_| bits |= prng.random().int(u64) & all_slices;
        var want: u8 = 0;
        while (want < 63 and runsOf(bits, want + 1) != 0) want += 1;
        try std.testing.expectEqual(want, longestRun(bits));
    }
    try std.testing.expectEqual(63, longestRun(all_slices));
}
