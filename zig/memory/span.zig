//! Spans: runs of 64 KiB units in an arena, cut into blocks of one class. They stand in the arena's
//! header, so that the span of a block is found from the block's address alone.

const std = @import("std");
const arenas = @import("arena.zig");
const size_class = @import("size_class.zig");

pub const slice_size = size_class.slice_size;

comptime {
    std.debug.assert(slice_size == arenas.unit_size);
}

/// What a free block holds in its first bytes; `link` only on its way home (outbox.zig).
pub const Node = extern struct { next: ?*Node, link: usize };

/// Where an owner's span is.
pub const State = enum(u8) {
    /// In its owner's list of spans that may have a free block.
    listed,
    /// Without a free block, in no list.
    full,
    /// Without a live block, kept by its owner for any use of its class.
    idle,
};

/// For its owner alone, but for `used` and `class`, which metrics read at any time.
pub const Span = struct {
    free: ?*Node align(64),
    previous: ?*Span,
    next: ?*Span,
    memory: [*]u8,
    block_size: u32,
    /// Blocks that are neither in `free` nor uncut; those on their way back count.
    used: u16,
    /// Blocks that have been cut so far, and that fit.
    cut: u16,
    capacity: u16,
    class: size_class.Class,
    state: State,
    slices: u8,
    /// The owner looks at the span when a free leaves so many in use.
    wake: u16,

    /// Of `wake`: more blocks than any span has.
    pub const never = std.math.maxInt(u16);

    /// Makes memory of the class's slices a span without any cut block.
    pub fn reset(span: *Span, memory: [*]u8, class: size_class.Class) void {
        const cut = size_class.cutOf(class);
        // Of a fresh span as of one given back.
        std.debug.assert(span.used == 0);
        span.free = null;
        span.previous = null;
        span.next = null;
        span.memory = memory;
        span.block_size = size_class.sizeOf(class);
        span.cut = 0;
        span.capacity = cut.blocks;
        @atomicStore(size_class.Class, &span.class, class, .monotonic);
        span.state = .listed;
        span.slices = cut.slices;
        span.wake = 0;
    }

    pub inline fn addUsed(span: *Span, change: i16) void {
        @atomicStore(u16, &span.used, span.used +% @as(u16, @bitCast(change)), .monotonic);
    }

    /// Cuts some more blocks: about a page of them, so that memory is touched as it is needed.
    /// False when all are cut.
    pub fn cutMore(span: *Span) bool {
        if (span.cut == span.capacity) return false;
        const count = @min(span.capacity - span.cut, @max(1, cut_size / span.block_size));
        var block = span.memory + @as(usize, span.cut) * span.block_size;
        span.free = asNode(block);
        for (1..count) |_| {
            const following = block + span.block_size;
            asNode(block).next = asNode(following);
            block = following;
        }
        asNode(block).next = null;
        span.cut += @intCast(count);
        return true;
    }
};

const cut_size = 8 << 10;

pub inline fn asNode(memory: [*]u8) *Node {
    return @ptrCast(@alignCast(memory));
}

/// What anyone may know of a small block. Of a live one it does not change.
pub inline fn unitOf(memory: *const anyopaque) *const arenas.Unit {
    const header: *arenas.Header = .of(memory);
    return &header.units[@intFromPtr(memory) / slice_size % arenas.unit_count];
}

/// The span of a small block, for its owner.
pub inline fn spanOf(memory: *const anyopaque, unit: *const arenas.Unit) *Span {
    const header: *arenas.Header = .of(memory);
    return &header.spans[unit.first % arenas.unit_count];
}
