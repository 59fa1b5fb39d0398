//! Blocks up to 1 MiB: a cache for each thread (cache.zig) over spans from the buddy allocator.
//! Finds the calling thread's cache, takes it back when the thread ends, hands it to the next that
//! needs one, and takes home what was freed to it in the meantime.

const std = @import("std");
const Buddy = @import("buddy.zig").Buddy;
const Cache = @import("cache.zig").Cache;
const Header = @import("arena.zig").Header;
const Ledger = @import("ledger.zig").Ledger;
const Limit = @import("limit.zig").Limit;
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;
const size_class = @import("size_class.zig");
const spans = @import("span.zig");
const thread_exit = @import("thread_exit.zig");
const thread_id = @import("thread_id.zig");

/// Where a thread finds its cache, by its pointer. Each seat is written for its thread by that
/// thread alone, from its claim to its end, so that it may be read without a lock.
const Seat = struct {
    thread: std.atomic.Value(usize),
    cache: *Cache,
};
const seat_bits = 8;
const seat_count = 1 << seat_bits;
const probe_max = 8;
const vacant = 0;
/// No longer taken, but others may sit behind it.
const left = 1;

pub const Small = struct {
    meta: *Meta,
    buddy: *Buddy,
    limit: *Limit,
    ledger: Ledger = .{},
    seats: [seat_count]Seat = @splat(.{ .thread = .init(vacant), .cache = undefined }),
    mutex: Mutex = .{},
    /// All caches there are, newest first; the list only grows.
    caches: std.atomic.Value(?*Cache) = .init(null),
    /// Raised to make each thread give back what it keeps, when it next leaves its fast path.
    trim_epoch: std.atomic.Value(u32) = .init(0),
    /// Serves threads that can have no cache of their own, under its mutex.
    stray: *Cache,
    stray_mutex: Mutex = .{},
    listener: thread_exit.Listener = .{ .threadEnds = threadEnds },

    /// The allocator must not move afterwards.
    pub fn init(small: *Small, meta: *Meta, buddy: *Buddy, limit: *Limit) error{OutOfMemory}!void {
        const stray = meta.create(Cache) orelse return error.OutOfMemory;
        small.* = .{
            .meta = meta,
            .buddy = buddy,
            .limit = limit,
            .stray = stray,
        };
        stray.init(small);
        stray.thread.raw = Cache.nobody;
        small.publish(stray);
        thread_exit.add(&small.listener);
    }

    /// No thread may be inside any more; what the caches hold goes with the buddy allocator.
    pub fn deinit(small: *Small) void {
        thread_exit.remove(&small.listener);
        small.* = undefined;
    }

    /// Where the calling thread's cache is, if it is found at once.
    pub inline fn ownSeat(small: *Small) ?*const Seat {
        const thread = thread_id.pointer();
        const seat = &small.seats[home(thread)];
        return if (seat.thread.load(.monotonic) == thread) seat else null;
    }

    /// The calling thread's cache; null when there is no memory for a new one.
    pub fn ownCache(small: *Small) ?*Cache {
        if (small.ownSeat()) |seat| return seat.cache;
        return small.findCache(thread_id.pointer());
    }

    inline fn home(thread: usize) usize {
        // Stacks and the blocks at their ends lie some pages or megabytes apart; the top bits of a
        // product by the golden ratio depend on all of them.
        return @intCast((@as(u64, thread) *% 0x9e37_79b9_7f4a_7c15) >> (64 - seat_bits));
    }

    noinline fn findCache(small: *Small, thread: usize) ?*Cache {
        for (1..probe_max) |step| {
            const seat = &small.seats[(home(thread) + step) % seat_count];
            const at = seat.thread.load(.monotonic);
            if (at == thread) return seat.cache;
            if (at == vacant) break;
        }
        return small.claim(thread);
    }

    fn claim(small: *Small, thread: usize) ?*Cache {
        {
            // Too many threads near the same home leave some without a seat.
            small.mutex.lock();
            defer small.mutex.unlock();
            if (small.cacheOf(thread)) |cache| return cache;
        }
        // Without the mutex, which those who hear of a thread's end take.
        if (!thread_exit.arm()) return null;
        small.mutex.lock();
        defer small.mutex.unlock();
        const cache = small.cacheOf(Cache.nobody_yet) orelse new: {
            const cache = small.meta.create(Cache) orelse return null;
            cache.init(small);
            small.publish(cache);
            break :new cache;
        };
        cache.thread.store(thread, .monotonic);
        for (0..probe_max) |step| {
            const seat = &small.seats[(home(thread) + step) % seat_count];
            if (seat.thread.raw > left) continue;
            seat.cache = cache;
            seat.thread.store(thread, .monotonic);
            break;
        }
        return cache;
    }

    fn cacheOf(small: *Small, thread: usize) ?*Cache {
        var next = small.caches.raw;
        while (next) |cache| : (next = cache.next) {
            if (cache.thread.raw == thread) return cache;
        }
        return null;
    }

    fn publish(small: *Small, cache: *Cache) void {
        cache.next = small.caches.raw;
        small.caches.store(cache, .release);
    }

    /// On the ending thread: its cache is free for the next.
    fn threadEnds(listener: *thread_exit.Listener) void {
        const small: *Small = @fieldParentPtr("listener", listener);
        const thread = thread_id.pointer();
        small.mutex.lock();
        defer small.mutex.unlock();
        const cache = small.cacheOf(thread) orelse return;
        for (0..probe_max) |step| {
            const seat = &small.seats[(home(thread) + step) % seat_count];
            if (seat.thread.raw == thread) seat.thread.store(left, .monotonic);
        }
        cache.thread.store(Cache.nobody_yet, .monotonic);
        cache.settle();
    }

    /// If the owner of this cache has ended, does in its place what it would do next.
    pub fn rescue(small: *Small, cache: *Cache) void {
        small.mutex.lock();
        defer small.mutex.unlock();
        if (cache.thread.raw == Cache.nobody_yet) cache.settle();
    }

    /// Gives back what nobody uses: of the calling thread, of threads that have ended, of the rest
    /// when they next pass by.
    pub fn trim(small: *Small) void {
        _ = small.trim_epoch.fetchAdd(1, .monotonic);
        if (small.ownCache()) |own| {
            own.outbox.sendAll(.may_rescue);
            own.drain();
            own.releaseEmpty();
        }
        {
            small.mutex.lock();
            defer small.mutex.unlock();
            var next = small.caches.raw;
            while (next) |cache| : (next = cache.next) {
                if (cache.thread.raw == Cache.nobody_yet) cache.settle();
            }
        }
    }

    /// A new span for `owner`; null when the limit or the system refuses.
    pub fn acquireSpan(small: *Small, class: size_class.Class, owner: *Cache) ?*spans.Span {
        const slices = size_class.cutOf(class).slices;
        const size = @as(usize, slices) * spans.slice_size;
        if (!small.limit.take(size)) return null;
        const memory = small.buddy.allocate(size, .{ .span = true }) orelse {
            small.limit.giveBack(size);
            return null;
        };
        return dress(memory, class, owner);
    }

    /// Makes memory of the class's slices a span of `owner`.
    fn dress(memory: [*]u8, class: size_class.Class, owner: *Cache) *spans.Span {
        const header: *Header = .of(memory);
        const unit: u16 = @intCast((@intFromPtr(memory) - @intFromPtr(header)) / spans.slice_size);
        @memset(header.units[unit..][0..size_class.cutOf(class).slices], .{
            .owner = owner,
            .block_size = size_class.sizeOf(class),
            .first = unit,
        });
        const span = &header.spans[unit];
        span.reset(memory, class);
        return span;
    }

    /// Turns a span without live blocks into one of another class of as many slices.
    pub fn recut(span: *spans.Span, class: size_class.Class) void {
        std.debug.assert(span.used == 0 and span.slices == size_class.cutOf(class).slices);
        const unit = spans.unitOf(span.memory);
        _ = dress(span.memory, class, unit.owner);
    }

    /// Takes back a span without live blocks.
    pub fn releaseSpan(small: *Small, span: *spans.Span) void {
        std.debug.assert(span.used == 0);
        const size = @as(usize, span.slices) * spans.slice_size;
        small.buddy.freeSpan(span.memory);
        small.limit.giveBack(size);
    }
};
