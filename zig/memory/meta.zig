//! Memory for a pool's own bookkeeping: what is taken here lives until the pool goes. Objects come
//! zeroed from chunks, tables that grow from whole pages. Nothing here is ever moved or unmapped
//! before `deinit`, so counters may be read without a lock at any time.

const std = @import("std");
const Mutex = @import("../threads/sync.zig").Mutex;
const Source = @import("source.zig").Source;
const system_pages = @import("system_pages.zig");

const chunk_size = 256 << 10;
const page_size = std.heap.page_size_max;

pub const Meta = struct {
    source: Source,
    mutex: Mutex = .{},
    chunks: ?*Chunk = null,
    /// Bytes of the first chunk that are given out.
    taken: usize = 0,
    reserved: std.atomic.Value(u64) = .init(0),

    const Chunk = struct { next: ?*Chunk, size: usize };

    pub fn deinit(meta: *Meta) void {
        var next = meta.chunks;
        while (next) |chunk| {
            next = chunk.next;
            meta.unmap(@ptrCast(chunk), chunk.size);
        }
        meta.* = undefined;
    }

    /// A zeroed object.
    pub fn create(meta: *Meta, comptime T: type) ?*T {
        const memory = meta.take(@sizeOf(T), @alignOf(T)) orelse return null;
        return @ptrCast(@alignCast(memory));
    }

    /// Zeroed objects in a row.
    pub fn slice(meta: *Meta, comptime T: type, count: usize) ?[]T {
        const memory = meta.take(@sizeOf(T) * count, @alignOf(T)) orelse return null;
        return @as([*]T, @ptrCast(@alignCast(memory)))[0..count];
    }

    fn take(meta: *Meta, size: usize, alignment: usize) ?[*]u8 {
        std.debug.assert(alignment <= page_size);
        meta.mutex.lock();
        defer meta.mutex.unlock();
        if (meta.chunks) |chunk| {
            const start = std.mem.alignForward(usize, meta.taken, alignment);
            if (start + size <= chunk.size) return meta.takeAt(chunk, start, size);
        }
        const start = std.mem.alignForward(usize, @sizeOf(Chunk), alignment);
        const mapped = system_pages.roundUp(@max(chunk_size, start + size));
        const memory = meta.map(mapped) orelse return null;
        const chunk: *Chunk = @ptrCast(@alignCast(memory));
        chunk.* = .{ .next = meta.chunks, .size = mapped };
        meta.chunks = chunk;
        return meta.takeAt(chunk, start, size);
    }

    fn takeAt(meta: *Meta, chunk: *Chunk, start: usize, size: usize) [*]u8 {
        meta.taken = start + size;
        return @as([*]u8, @ptrCast(chunk)) + start;
    }

    fn map(meta: *Meta, size: usize) ?[*]u8 {
        const memory = meta.source.map(size, page_size) orelse return null;
        if (!meta.source.commit(memory, size)) {
            meta.source.unmap(memory, size);
            return null;
        }
        // Whoever unmapped this address before did so before: the system knows, sanitizers do not.
        _ = meta.reserved.fetchAdd(size, .acquire);
        return memory;
    }

    fn unmap(meta: *Meta, memory: [*]u8, size: usize) void {
        _ = meta.reserved.fetchSub(size, .release);
        meta.source.unmap(memory, size);
    }

    /// For tables that grow: whole pages, given back when the table moves on.
    pub fn pageAllocator(meta: *Meta) std.mem.Allocator {
        return .{ .ptr = meta, .vtable = &.{
            .alloc = allocPages,
            .resize = refuseResize,
            .remap = refuseRemap,
            .free = freePages,
        } };
    }

    fn allocPages(raw: *anyopaque, size: usize, alignment: std.mem.Alignment, _: usize) ?[*]u8 {
        const meta: *Meta = @ptrCast(@alignCast(raw));
        if (alignment.toByteUnits() > page_size) return null;
        return meta.map(system_pages.roundUp(size));
    }

    fn freePages(raw: *anyopaque, memory: []u8, _: std.mem.Alignment, _: usize) void {
        const meta: *Meta = @ptrCast(@alignCast(raw));
        meta.unmap(memory.ptr, system_pages.roundUp(memory.len));
    }

    fn refuseResize(_: *anyopaque, _: []u8, _: std.mem.Alignment, _: usize, _: usize) bool {
        return false;
    }

    fn refuseRemap(_: *anyopaque, _: []u8, _: std.mem.Alignment, _: usize, _: usize) ?[*]u8 {
        return null;
    }
};

test "meta: objects are zeroed, apart, and all pages go back" {
    const Faulty = @import("source.zig").Faulty;
    var faulty: Faulty = .{};
    var meta: Meta = .{ .source = faulty.source() };
    const first = meta.create([100]u64).?;
    first[0] = 1;
    const second = meta.slice(u8, chunk_size * 2).?;
    for (second) |byte| try std.testing.expectEqual(0, byte);
    const third = meta.create(u64).?;
    try std.testing.expect(@intFromPtr(third) != @intFromPtr(first));

    const table = try meta.pageAllocator().alloc(u32, 5000);
    try std.testing.expectEqual(faulty.mapped.raw, meta.reserved.raw);
    meta.pageAllocator().free(table);
    meta.deinit();
    try std.testing.expectEqual(0, faulty.mapped.raw);
}
