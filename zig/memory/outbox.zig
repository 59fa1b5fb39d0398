//! Blocks that a thread has freed and that belong to others, gathered by span until they are worth
//! sending: their owner then puts a whole batch back without looking at each block, whose memory
//! lies in this thread's processor cache.
//!
//! A batch travels in its own blocks. The first node's `link` has the next batch of the inbox and,
//! in the bits that alignment leaves free, how many blocks there are; the second's has the last.

const std = @import("std");
const Cache = @import("cache.zig").Cache;
const Header = @import("arena.zig").Header;
const Node = spans.Node;
const spans = @import("span.zig");
const Unit = @import("arena.zig").Unit;

const batch_count = 64;
/// As many as fit into the free bits of an address.
const blocks_max = 15;
const batch_size_max = 16 << 10;
/// What waits in all batches together.
const size_max = 64 << 10;
/// Bytes in an inbox at which it is worth asking whether its owner still lives.
const rescue_size = 4 << 20;

pub const Inbox = struct {
    first: std.atomic.Value(usize) align(64),
    size: std.atomic.Value(u64),

    pub fn isEmpty(inbox: *const Inbox) bool {
        return inbox.first.load(.monotonic) == 0;
    }

    /// All that has come in, taken out.
    pub fn takeAll(inbox: *Inbox) Arrivals {
        inbox.size.store(0, .monotonic);
        return .{ .link = inbox.first.swap(0, .acquire) };
    }

    fn push(inbox: *Inbox, batch: Batch) void {
        if (batch.count > 1) batch.first.next.?.link = @intFromPtr(batch.last);
        var link = inbox.first.load(.monotonic);
        while (true) {
            batch.first.link = link | batch.count;
            const address = @intFromPtr(batch.first);
            link = inbox.first.cmpxchgWeak(link, address, .release, .monotonic) orelse return;
        }
    }
};

pub const Arrivals = struct {
    link: usize,

    pub fn next(arrivals: *Arrivals) ?Batch {
        if (arrivals.link == 0) return null;
        const first: *Node = @ptrFromInt(arrivals.link);
        const count: u16 = @intCast(first.link & blocks_max);
        arrivals.link = first.link & ~@as(usize, blocks_max);
        return .{
            .first = first,
            .last = if (count == 1) first else @ptrFromInt(first.next.?.link),
            .count = count,
        };
    }
};

pub const Batch = struct {
    first: *Node,
    last: *Node,
    count: u16,
};

pub const Rescue = enum { may_rescue, never };

/// Blocks of one span.
const Waiting = struct {
    /// Of the span's first slice; null while there is none.
    unit: ?*const Unit,
    batch: Batch,
};

pub const Outbox = struct {
    waiting: [batch_count]Waiting,
    size: u32,

    pub const Added = enum { kept, sent };

    /// Takes a block of another thread's span, and tells whether a full batch went on its way.
    pub fn add(outbox: *Outbox, unit: *const Unit, node: *Node) Added {
        const waiting = &outbox.waiting[unit.first % batch_count];
        const batch = &waiting.batch;
        if (waiting.unit) |of_waiting| {
            // Spans in different arenas, or 64 units apart, share a place.
            if (@intFromPtr(of_waiting) == @intFromPtr(firstOf(unit, node))) {
                node.next = batch.first;
                batch.first = node;
                batch.count += 1;
            } else {
                outbox.send(waiting, .may_rescue);
            }
        }
        if (waiting.unit == null) waiting.* = .{
            .unit = firstOf(unit, node),
            .batch = .{ .first = node, .last = node, .count = 1 },
        };
        outbox.size += unit.block_size;
        const batch_size = batch.count * unit.block_size;
        if (batch.count == blocks_max or batch_size >= batch_size_max) {
            outbox.send(waiting, .may_rescue);
            return .sent;
        }
        if (outbox.size < size_max) return .kept;
        outbox.sendAll(.may_rescue);
        return .sent;
    }

    fn firstOf(unit: *const Unit, node: *const Node) *const Unit {
        return &Header.of(node).units[unit.first];
    }

    pub fn sendAll(outbox: *Outbox, rescue: Rescue) void {
        if (outbox.size == 0) return;
        for (&outbox.waiting) |*waiting| {
            if (waiting.unit != null) outbox.send(waiting, rescue);
        }
    }

    /// Asks for the owner's rescue when its inbox keeps growing.
    fn send(outbox: *Outbox, waiting: *Waiting, rescue: Rescue) void {
        const unit = waiting.unit.?;
        const owner: *Cache = unit.owner;
        const size = waiting.batch.count * unit.block_size;
        outbox.size -= size;
        waiting.unit = null;
        const before = owner.inbox.size.fetchAdd(size, .monotonic);
        // From here on the owner may take the blocks, and give the span away.
        owner.inbox.push(waiting.batch);
        const grown = before / rescue_size != (before + size) / rescue_size;
        if (grown and rescue == .may_rescue) owner.small.rescue(owner);
    }
};
