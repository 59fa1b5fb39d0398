//! One thread's part of the small-block allocator: for each class a list of spans, taken from and
//! freed to without a lock. Blocks that other threads free arrive in the inbox, a list that anyone
//! pushes to and the owner takes whole; blocks of others that this thread frees are sent in
//! batches.
//!
//! A cache belongs to one thread at a time (small.zig sees to that) and lives as long as the pool.
//! Its counters are written by the owner and read by anyone.

const std = @import("std");
const size_class = @import("size_class.zig");
const Ledger = @import("ledger.zig").Ledger;
const Small = @import("small.zig").Small;
const spans = @import("span.zig");
const thread_id = @import("thread_id.zig");

const Class = size_class.Class;
const Node = spans.Node;
const Span = spans.Span;

pub const tag_count = 64;

const batch_count = 32;
const batch_size = 64 << 10;
const kept_count = 4;
/// Bytes in an inbox at which it is worth asking whether its owner still lives.
const rescue_size = 4 << 20;

/// Stands for no span: it has no free block, ever, and no one writes to it.
var no_span: Span = std.mem.zeroInit(Span, .{
    .owner = @as(*Cache, undefined),
    .memory = @as([*]u8, undefined),
    .state = .full,
});

pub const Cache = struct {
    small: *Small,
    /// First of the spans that may have a free block, or `no_span`.
    heads: [size_class.table_size]*Span,
    tags: [tag_count]TagCount,
    /// Bytes asked for less bytes freed since the pool was last told.
    unpublished: i64,
    outgoing: Outgoing,
    /// Spans of several slices without live blocks, for quick reuse; the oldest makes room.
    kept: [kept_count]?*Span,
    kept_next: u8,
    trim_seen: u32,
    /// `thread_id.pointer` of the owner, or one of those below.
    thread: std.atomic.Value(usize),
    next: ?*Cache,
    inbox: std.atomic.Value(?*Node) align(64),
    inbox_size: std.atomic.Value(u64),

    pub const TagCount = struct { size: u64, allocated: u64, freed: u64 };

    /// Of a cache whose thread has ended: the next that needs one gets it.
    pub const nobody_yet = 0;
    /// Of a cache that is no thread's and stays so.
    pub const nobody = 1;

    /// Blocks of one other cache that wait to be sent there.
    const Outgoing = struct {
        owner: ?*Cache = null,
        first: *Node = undefined,
        last: *Node = undefined,
        count: u32 = 0,
        size: u32 = 0,
    };

    /// A cache in zeroed memory.
    pub fn init(cache: *Cache, small: *Small) void {
        cache.small = small;
        cache.heads = @splat(&no_span);
        cache.outgoing = .{};
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
        const span = spans.spanOf(memory);
        const node = spans.asNode(memory);
        if (span.owner != cache) return cache.send(span, node);
        cache.freeOwn(span, node);
    }

    /// Frees a block of a span of its own.
    pub inline fn freeOwn(cache: *Cache, span: *Span, node: *Node) void {
        node.next = span.free;
        span.free = node;
        span.addUsed(-1);
        if (span.used == 0 or span.state == .full) cache.freeSlow(span);
    }

    noinline fn allocateSlow(cache: *Cache, class: Class) ?[*]u8 {
        cache.tidy();
        while (true) {
            const span = cache.heads[class];
            if (span == &no_span) break;
            if (span.free != null or span.cutMore()) return takeFirst(span);
            cache.unlist(span);
            span.state = .full;
        }
        const span = cache.takeKept(class) orelse
            cache.small.segments.acquire(class, cache) orelse return null;
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
        if (cache.inbox.load(.monotonic) != null) cache.drain();
        if (cache.outgoing.owner != null) cache.flush(.may_rescue);
        const epoch = cache.small.trim_epoch.load(.monotonic);
        if (cache.trim_seen != epoch) {
            cache.trim_seen = epoch;
            cache.releaseEmpty();
        }
    }

    noinline fn freeSlow(cache: *Cache, span: *Span) void {
        if (cache.unpublished < -Ledger.step) cache.small.ledger.publish(cache);
        if (span.state == .full) cache.list(span);
        if (span.used > 0) return;
        if (span.slices == 1) {
            // The last span of its class stays: the next allocation may be just ahead.
            const alone = span.previous == null and span.next == null;
            if (alone) return;
            cache.unlist(span);
            cache.small.segments.release(span);
        } else {
            cache.unlist(span);
            cache.keep(span);
        }
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
        cache.small.segments.release(place.*.?);
        place.* = span;
    }

    fn takeKept(cache: *Cache, class: Class) ?*Span {
        for (&cache.kept) |*place| {
            const span = place.* orelse continue;
            if (span.class != class) continue;
            place.* = null;
            return span;
        }
        return null;
    }

    fn list(cache: *Cache, span: *Span) void {
        const head = &cache.heads[span.class];
        span.state = .listed;
        span.previous = null;
        span.next = if (head.* == &no_span) null else head.*;
        if (span.next) |second| second.previous = span;
        head.* = span;
    }

    fn unlist(cache: *Cache, span: *Span) void {
        if (span.next) |after| after.previous = span.previous;
        if (span.previous) |before| {
            before.next = span.next;
        } else {
            cache.heads[span.class] = span.next orelse &no_span;
        }
    }

    /// Puts another cache's block with those that wait to be sent.
    noinline fn send(cache: *Cache, span: *Span, node: *Node) void {
        const outgoing = &cache.outgoing;
        if (outgoing.owner != span.owner) {
            if (outgoing.owner != null) cache.flush(.may_rescue);
            outgoing.* = .{ .owner = span.owner, .first = node, .last = node };
        } else {
            node.next = outgoing.first;
            outgoing.first = node;
        }
        outgoing.count += 1;
        outgoing.size += span.block_size;
        if (outgoing.count == batch_count or outgoing.size >= batch_size) {
            cache.flush(.may_rescue);
        }
    }

    pub const Rescue = enum { may_rescue, never };

    /// Sends what waits. Asks for the owner's rescue when its inbox keeps growing.
    pub fn flush(cache: *Cache, rescue: Rescue) void {
        if (cache.unpublished < -Ledger.step) cache.small.ledger.publish(cache);
        const batch = cache.outgoing;
        const owner = batch.owner orelse return;
        cache.outgoing.owner = null;
        const before = owner.inbox_size.fetchAdd(batch.size, .monotonic);
        var first = owner.inbox.load(.monotonic);
        while (true) {
            batch.last.next = first;
            first = owner.inbox.cmpxchgWeak(first, batch.first, .release, .monotonic) orelse break;
        }
        const grown = before / rescue_size != (before + batch.size) / rescue_size;
        if (grown and rescue == .may_rescue) cache.small.rescue(owner);
    }

    /// Takes back what other threads have freed.
    pub fn drain(cache: *Cache) void {
        cache.inbox_size.store(0, .monotonic);
        var next = cache.inbox.swap(null, .acquire);
        while (next) |node| {
            next = node.next;
            cache.freeOwn(spans.spanOf(node), node);
        }
    }

    /// All that lies open: what is to be sent, what has come in, what is empty.
    pub fn settle(cache: *Cache) void {
        cache.flush(.never);
        cache.drain();
        cache.releaseEmpty();
    }

    /// Gives back every span without a live block.
    pub fn releaseEmpty(cache: *Cache) void {
        for (&cache.kept) |*place| {
            if (place.*) |span| cache.small.segments.release(span);
            place.* = null;
        }
        for (cache.heads[0..size_class.count]) |head| {
            if (head == &no_span or head.used > 0) continue;
            cache.unlist(head);
            cache.small.segments.release(head);
        }
    }
};
