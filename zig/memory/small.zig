//! Blocks up to 1 MiB: a cache for each thread (cache.zig) over shared segments (segments.zig).
//! Finds the calling thread's cache, hands the cache of a thread that has ended to the next that
//! needs one, and takes home what was freed to such a cache in the meantime.

const std = @import("std");
const Buddy = @import("buddy.zig").Buddy;
const Cache = @import("cache.zig").Cache;
const Limit = @import("limit.zig").Limit;
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;
const Segments = @import("segments.zig").Segments;
const thread_id = @import("thread_id.zig");

/// Where a thread remembers its caches: by the pool's serial number, a few pools at a time.
const Seat = struct { serial: u64, cache: *Cache };
const seat_count = 4;
threadlocal var seats: [seat_count]Seat = @splat(.{ .serial = 0, .cache = undefined });

var serials: std.atomic.Value(u64) = .init(1);

/// Bears the stray cache; no thread does.
const nobody = std.math.maxInt(thread_id.Id);

pub const Small = struct {
    /// Never used again by another, so that a seat cannot be mistaken for one of a closed pool.
    serial: u64,
    meta: *Meta,
    segments: Segments,
    mutex: Mutex = .{},
    /// All caches there are, newest first; the list only grows.
    caches: std.atomic.Value(?*Cache) = .init(null),
    /// Raised to make each thread give back what it keeps, when it next leaves its fast path.
    trim_epoch: std.atomic.Value(u32) = .init(0),
    /// Frees for threads that can have no cache of their own, under its mutex.
    stray: *Cache,
    stray_mutex: Mutex = .{},

    /// The allocator must not move afterwards.
    pub fn init(small: *Small, meta: *Meta, buddy: *Buddy, limit: *Limit) error{OutOfMemory}!void {
        const stray = meta.create(Cache) orelse return error.OutOfMemory;
        small.* = .{
            .serial = serials.fetchAdd(1, .monotonic),
            .meta = meta,
            .segments = .{ .buddy = buddy, .limit = limit },
            .stray = stray,
        };
        stray.init(small);
        small.publish(stray, nobody);
    }

    /// The calling thread's cache; null when there is no memory for a new one.
    pub inline fn ownCache(small: *Small) ?*Cache {
        const seat = &seats[@intCast(small.serial % seat_count)];
        return if (seat.serial == small.serial) seat.cache else small.claim(seat);
    }

    noinline fn claim(small: *Small, seat: *Seat) ?*Cache {
        const cache = small.findFor(thread_id.current()) orelse return null;
        seat.* = .{ .serial = small.serial, .cache = cache };
        return cache;
    }

    fn findFor(small: *Small, thread: thread_id.Id) ?*Cache {
        small.mutex.lock();
        defer small.mutex.unlock();
        var next = small.caches.raw;
        while (next) |cache| : (next = cache.next) {
            if (cache.thread.raw == thread) return cache;
        }
        next = small.caches.raw;
        while (next) |cache| : (next = cache.next) {
            if (!isAbandoned(cache)) continue;
            cache.thread.store(thread, .monotonic);
            return cache;
        }
        const cache = small.meta.create(Cache) orelse return null;
        cache.init(small);
        small.publish(cache, thread);
        return cache;
    }

    fn publish(small: *Small, cache: *Cache, thread: thread_id.Id) void {
        cache.thread.store(thread, .monotonic);
        cache.next = small.caches.raw;
        small.caches.store(cache, .release);
    }

    /// Under the mutex: a thread that comes into being with an old number claims under it too.
    fn isAbandoned(cache: *const Cache) bool {
        const thread = cache.thread.raw;
        if (thread == nobody) return false;
        return thread == thread_id.none or !thread_id.isAlive(thread);
    }

    /// If the owner of this cache has ended, does in its place what it would do next.
    pub fn rescue(small: *Small, cache: *Cache) void {
        small.mutex.lock();
        defer small.mutex.unlock();
        if (isAbandoned(cache)) settle(cache);
    }

    fn settle(cache: *Cache) void {
        cache.thread.store(thread_id.none, .monotonic);
        cache.flush(.never);
        cache.drain();
        cache.releaseEmpty();
    }

    /// Gives back what nobody uses: of the calling thread, of threads that have ended, of the rest
    /// when they next pass by, and the memory of free slices.
    pub fn trim(small: *Small) void {
        _ = small.trim_epoch.fetchAdd(1, .monotonic);
        if (small.ownCache()) |own| {
            own.flush(.may_rescue);
            own.drain();
            own.releaseEmpty();
        }
        {
            small.mutex.lock();
            defer small.mutex.unlock();
            var next = small.caches.raw;
            while (next) |cache| : (next = cache.next) {
                if (isAbandoned(cache)) settle(cache);
            }
        }
        small.segments.purge();
    }
};
