//! One thread's part of the small-block allocator: for each class a list of spans, taken from and
//! freed to without a lock. Blocks that other threads free arrive in the inbox, a list that anyone
//! pushes to and the owner takes whole; blocks of others that this thread frees are sent in
//! batches.
//!
//! A cache belongs to one thread at a time (small.zig sees to that) and lives as long as the pool.
//! Its counters are written by the owner and read by anyone.

const std = @import("std");
const size_class = @import("size_class.zig");
const Inbox = @import("outbox.zig").Inbox;
const Outbox = @import("outbox.zig").Outbox;
const Small = @import("small.zig").Small;
const spans = @import("span.zig");
const Unit = @import("arena.zig").Unit;

const Class = size_class.Class;
const Node = spans.Node;
const Span = spans.Span;

pub const tag_count = 64;

const kept_count = 8;

/// Stands for no span: it has no free block, ever, and no one writes to it.
var no_span: Span = std.mem.zeroInit(Span, .{
    .memory = @as([*]u8, undefined),
    .state = .full,
});

pub const Cache = struct {
    small: *Small,
    /// First of the spans that may have a free block, or `no_span`.
    heads: [size_class.table_size]*Span,
    tags: [tag_count]TagCount,
    /// Bytes asked for less bytes freed, as the ledger was last told.
    told: i64,
    outbox: Outbox,
    /// Spans without live blocks, for quick reuse; the oldest makes room.
    kept: [kept_count]?*Span,
    kept_next: u8,
    trim_seen: u32,
    /// `thread_id.pointer` of the owner, or one of those below.
    thread: std.atomic.Value(usize),
    next: ?*Cache,
    inbox: Inbox,

    pub const TagCount = struct { size: u64, allocated: u64, freed: u64 };

    /// Of a cache whose thread has ended: the next that needs one gets it.
    pub const nobody_yet = 0;
    /// Of a cache that is no thread's and stays so.
    pub const nobody = 1;

    /// A cache in zeroed memory.
    pub fn init(cache: *Cache, small: *Small) void {
        cache.small = small;
        cache.heads = @splat(&no_span);
    }

    /// A block of the class; null when no span can be had.
    pub fn allocate(cache: *Cache, class: Class) ?[*]u8 {
        return cache.allocateQuick(class) orelse cache.allocateSlow(class);
    }

    /// A block that lies ready.
    pub inline fn allocateQuick(cache: *Cache, class: Class) ?[*]u8 {
        const span = cache.heads[class];
        const node = span.free orelse return null;
        span.free = node.next;
        span.addUsed(1);
        return @ptrCast(node);
    }

    pub fn free(cache: *Cache, memory: [*]u8) void {
        const unit = spans.unitOf(memory);
        const node = spans.asNode(memory);
        if (unit.owner != cache) return cache.send(unit, node);
        cache.freeOwn(spans.spanOf(memory, unit), node);
    }

    /// Frees a block of a span of its own.
    pub inline fn freeOwn(cache: *Cache, span: *Span, node: *Node) void {
        node.next = span.free;
        span.free = node;
        span.addUsed(-1);
        if (span.used == span.wake) cache.freeSlow(span);
    }

    pub fn allocateSlow(cache: *Cache, class: Class) ?[*]u8 {
        cache.tidy();
        while (true) {
            const span = cache.heads[class];
            if (span == &no_span) break;
            if (span.free != null or span.cutMore()) return takeFirst(span);
            cache.unlist(span);
            span.state = .full;
            span.wake = span.capacity - 1;
        }
        const span = cache.takeKept(class) orelse
            cache.small.acquireSpan(class, cache) orelse return null;
        cache.list(span);
        if (span.free == null) std.debug.assert(span.cutMore());
        return takeFirst(span);
    }

    fn takeFirst(span: *Span) [*]u8 {
        const node = span.free.?;
        span.free = node.next;
        span.addUsed(1);
        return @ptrCast(node);
    }

    /// What the owner does whenever it leaves the fast path.
    fn tidy(cache: *Cache) void {
        if (!cache.inbox.isEmpty()) cache.drain();
        const epoch = cache.small.trim_epoch.load(.monotonic);
        if (cache.trim_seen != epoch) {
            cache.trim_seen = epoch;
            cache.outbox.sendAll(.may_rescue);
            cache.releaseEmpty();
        }
    }

    noinline fn freeSlow(cache: *Cache, span: *Span) void {
        cache.small.ledger.tell(cache);
        if (span.state == .full) cache.list(span);
        if (span.used > 0) return;
        const is_last = span.previous == null and span.next == null;
        if (span.slices == 1 and is_last) return;
        cache.unlist(span);
        cache.keep(span);
    }

    fn keep(cache: *Cache, span: *Span) void {
        span.state = .idle;
        for (&cache.kept) |*place| {
            if (place.* != null) continue;
            place.* = span;
            return;
        }
        const place = &cache.kept[cache.kept_next];
        cache.kept_next = (cache.kept_next + 1) % kept_count;
        cache.small.releaseSpan(place.*.?);
        place.* = span;
    }

    /// One of the class, else one of as many slices, cut anew.
    fn takeKept(cache: *Cache, class: Class) ?*Span {
        var alike: ?*?*Span = null;
        const slices = size_class.cutOf(class).slices;
        for (&cache.kept) |*place| {
            const span = place.* orelse continue;
            if (span.slices != slices) continue;
            alike = place;
            if (span.class == class) break;
        }
        const place = alike orelse return null;
        const span = place.*.?;
        place.* = null;
        if (span.class != class) Small.recut(span, class);
        return span;
    }

    fn list(cache: *Cache, span: *Span) void {
        const head = &cache.heads[span.class];
        span.state = .listed;
        span.previous = null;
        span.next = if (head.* == &no_span) null else head.*;
        span.wake = 0;
        if (span.next) |second| {
            second.previous = span;
            second.wake = 0;
        }
        head.* = span;
        cache.letLastRest(span.class);
    }

    /// The last span of its class stays when it is empty: the next allocation may be just ahead.
    fn letLastRest(cache: *Cache, class: Class) void {
        const span = cache.heads[class];
        if (span == &no_span or span.next != null or span.slices > 1) return;
        span.wake = Span.never;
    }

    fn unlist(cache: *Cache, span: *Span) void {
        if (span.next) |after| after.previous = span.previous;
        if (span.previous) |before| {
            before.next = span.next;
        } else {
            cache.heads[span.class] = span.next orelse &no_span;
        }
        cache.letLastRest(span.class);
    }

    /// Keeps another cache's block with those that wait to be sent.
    pub fn send(cache: *Cache, unit: *const Unit, node: *Node) void {
        if (cache.outbox.add(unit, node) == .sent) cache.small.ledger.tell(cache);
    }

    /// Takes back what other threads have freed.
    pub fn drain(cache: *Cache) void {
        var arrivals = cache.inbox.takeAll();
        while (arrivals.next()) |batch| {
            const span = spans.spanOf(batch.first, spans.unitOf(batch.first));
            batch.last.next = span.free;
            span.free = batch.first;
            span.addUsed(-@as(i16, @intCast(batch.count)));
            if (span.used == 0 or span.state == .full) cache.freeSlow(span);
        }
    }

    /// All that lies open: what is to be sent, what has come in, what is empty.
    pub fn settle(cache: *Cache) void {
        cache.outbox.sendAll(.never);
        cache.drain();
        cache.releaseEmpty();
    }

    /// Gives back every span without a live block.
    pub fn releaseEmpty(cache: *Cache) void {
        for (&cache.kept) |*place| {
            if (place.*) |span| cache.small.releaseSpan(span);
            place.* = null;
        }
        for (cache.heads[0..size_class.count]) |head| {
            var next: ?*Span = if (head == &no_span) null else head;
            while (next) |span| {
                next = span.next;
                if (span.used > 0) continue;
                cache.unlist(span);
                cache.small.releaseSpan(span);
            }
        }
    }
};
