//! Spans and the segments they lie in. A segment is 4 MiB at a multiple of 4 MiB: 64 slices of
//! 64 KiB, the first of which holds its header. A span is a run of slices cut into blocks of one
//! class. So the span of a block is found from the block's address alone.

const std = @import("std");
const Cache = @import("cache.zig").Cache;
const size_class = @import("size_class.zig");

pub const segment_size = 4 << 20;
pub const slice_size = size_class.slice_size;
pub const slice_count = segment_size / slice_size;

/// What a free block holds in its first bytes.
pub const Node = struct { next: ?*Node };

/// Where an owner's span is.
pub const State = enum(u8) {
    /// In its owner's list of spans that may have a free block.
    listed,
    /// Without a free block, in no list.
    full,
    /// Without a live block, kept by its owner for any use of its class.
    idle,
};

/// Written by its owner alone, but for `owner` and `block_size`, which others read while a block
/// of it lives and which do not change then.
pub const Span = struct {
    free: ?*Node align(64),
    owner: *Cache,
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
    slice: u8,
    slices: u8,

    pub fn size(span: *const Span) usize {
        return @as(usize, span.slices) * slice_size;
    }

    /// Makes `memory`, of the given slices, a span without any cut block.
    pub fn reset(span: *Span, place: Place, class: size_class.Class, owner: *Cache) void {
        const cut = size_class.cutOf(class);
        std.debug.assert(cut.slices == place.slices);
        span.* = .{
            .free = null,
            .owner = owner,
            .previous = null,
            .next = null,
            .memory = place.memory,
            .block_size = size_class.sizeOf(class),
            .used = 0,
            .cut = 0,
            .capacity = cut.blocks,
            .class = class,
            .state = .listed,
            .slice = place.slice,
            .slices = place.slices,
        };
    }

    /// Metrics read `used` at any time.
    pub inline fn addUsed(span: *Span, change: i16) void {
        @atomicStore(u16, &span.used, span.used +% @as(u16, @bitCast(change)), .monotonic);
    }

    pub const Place = struct { memory: [*]u8, slice: u8, slices: u8 };

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

pub const Segment = struct {
    /// Free slices; the first never is.
    free: u64,
    /// Slices that were used since the system last cleared them.
    dirty: u64,
    /// Slices whose memory was given back.
    discarded: u64,
    previous: ?*Segment,
    next: ?*Segment,
    previous_in_bin: ?*Segment,
    next_in_bin: ?*Segment,
    /// Longest run of free slices: the bin.
    run_max: u8,
    /// For each used slice the first of its span.
    first: [slice_count]u8 align(64),
    spans: [slice_count]Span,

    comptime {
        std.debug.assert(@sizeOf(Segment) <= slice_size);
    }

    pub fn memoryOf(segment: *Segment, slice: usize) [*]u8 {
        return @as([*]u8, @ptrCast(segment)) + slice * slice_size;
    }
};

pub inline fn asNode(memory: [*]u8) *Node {
    return @ptrCast(@alignCast(memory));
}

pub fn segmentOf(memory: *const anyopaque) *Segment {
    return @ptrFromInt(@intFromPtr(memory) & ~@as(usize, segment_size - 1));
}

pub inline fn spanOf(memory: *const anyopaque) *Span {
    const segment = segmentOf(memory);
    const slice = (@intFromPtr(memory) / slice_size) % slice_count;
    return &segment.spans[segment.first[slice]];
}
