//! What happened when: a ring of the last events, written by any thread without a lock, and a
//! history of the pool's use over its whole life in a fixed number of samples, whose spacing
//! doubles whenever they are full.

const std = @import("std");
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;

pub const EventKind = enum(u8) { allocate, free, refuse, trim };

pub const Event = extern struct {
    /// Since the pool's creation.
    time_ns: u64,
    address: u64,
    size: u64,
    /// Bytes used after it.
    used: u64,
    thread: u64,
    label: u32,
    tag: u16,
    kind: EventKind,
    reserved: u8 = 0,
};

const word_count = @sizeOf(Event) / 8;

pub const Ring = struct {
    entries: []Entry,
    written: std.atomic.Value(u64) = .init(0),

    const Entry = struct {
        /// Twice the event's number plus two once it is whole; odd while it is being written.
        turn: std.atomic.Value(u64),
        words: [word_count]std.atomic.Value(u64),
    };

    /// `capacity` is a power of two.
    pub fn init(meta: *Meta, capacity: usize) error{OutOfMemory}!Ring {
        return .{ .entries = meta.slice(Entry, capacity) orelse return error.OutOfMemory };
    }

    pub fn write(ring: *Ring, event: Event) void {
        const number = ring.written.fetchAdd(1, .monotonic);
        const entry = &ring.entries[@intCast(number & (ring.entries.len - 1))];
        const words: [word_count]u64 = @bitCast(event);
        entry.turn.store(2 * number + 1, .monotonic);
        // Each word is released after the odd turn, so a reader that sees one sees that too.
        for (&entry.words, words) |*to, word| to.store(word, .release);
        entry.turn.store(2 * number + 2, .release);
    }

    /// Copies the latest events, oldest first, and tells how many; one that is being overwritten
    /// just then is left out.
    pub fn read(ring: *const Ring, to: []Event) usize {
        const written = ring.written.load(.acquire);
        const count = @min(written, ring.entries.len, to.len);
        var copied: usize = 0;
        for (0..@intCast(count)) |index| {
            const number = written - count + index;
            const entry = &ring.entries[@intCast(number & (ring.entries.len - 1))];
            const turn = entry.turn.load(.acquire);
            var words: [word_count]u64 = undefined;
            for (&words, &entry.words) |*word, *from| word.* = from.load(.acquire);
            if (turn != 2 * number + 2 or entry.turn.load(.monotonic) != turn) continue;
            to[copied] = @bitCast(words);
            copied += 1;
        }
        return copied;
    }
};

pub const Sample = extern struct { time_ns: u64, used_max: u64, held_max: u64 };

pub const History = struct {
    mutex: Mutex = .{},
    samples: []Sample,
    count: usize = 0,
    spacing_ns: u64 = std.time.ns_per_ms,
    due_ns: std.atomic.Value(u64) = .init(0),

    pub fn init(meta: *Meta, capacity: usize) error{OutOfMemory}!History {
        return .{ .samples = meta.slice(Sample, capacity) orelse return error.OutOfMemory };
    }

    /// Notes the use at this time: in a new sample when one is due, else as the most seen.
    pub fn note(history: *History, sample: Sample) void {
        history.mutex.lock();
        defer history.mutex.unlock();
        if (history.count > 0 and sample.time_ns < history.due_ns.raw) {
            merge(&history.samples[history.count - 1], sample);
            return;
        }
        if (history.count == history.samples.len) history.halve();
        history.samples[history.count] = sample;
        history.count += 1;
        history.due_ns.store(sample.time_ns + history.spacing_ns, .monotonic);
    }

    fn halve(history: *History) void {
        const half = history.samples.len / 2;
        for (0..half) |index| {
            history.samples[index] = history.samples[2 * index];
            merge(&history.samples[index], history.samples[2 * index + 1]);
        }
        history.count = half;
        history.spacing_ns *= 2;
    }

    fn merge(into: *Sample, from: Sample) void {
        into.used_max = @max(into.used_max, from.used_max);
        into.held_max = @max(into.held_max, from.held_max);
    }

    /// Copies the samples, oldest first, and tells how many.
    pub fn read(history: *History, to: []Sample) usize {
        history.mutex.lock();
        defer history.mutex.unlock();
        const count = @min(history.count, to.len);
        @memcpy(to[0..count], history.samples[0..count]);
        return count;
    }
};

test "timeline: the ring keeps the latest events and the history the highest use" {
    const Faulty = @import("source.zig").Faulty;
    var faulty: Faulty = .{};
    var meta: Meta = .{ .source = faulty.source() };
    defer meta.deinit();

    var ring: Ring = try .init(&meta, 8);
    for (0..20) |time| ring.write(.{
        .time_ns = time,
        .address = 0,
        .size = 1,
        .used = 2,
        .thread = 3,
        .label = 4,
        .tag = 5,
        .kind = .free,
    });
    var events: [100]Event = undefined;
    try std.testing.expectEqual(8, ring.read(&events));
    try std.testing.expectEqual(12, events[0].time_ns);
    try std.testing.expectEqual(EventKind.free, events[7].kind);

    var history: History = try .init(&meta, 16);
    for (0..10_000) |step| history.note(.{
        .time_ns = step * 100_000,
        .used_max = if (step == 4321) 99 else 1,
        .held_max = 0,
    });
    var samples: [16]Sample = undefined;
    const count = history.read(&samples);
    try std.testing.expect(count >= 8);
    var most: u64 = 0;
    for (samples[0..count]) |sample| most = @max(most, sample.used_max);
    try std.testing.expectEqual(99, most);
}
