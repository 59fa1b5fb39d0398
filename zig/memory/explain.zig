//! In words: who holds what when the limit refuses, and what is known of an address. Both look at
//! the pool as it is when they are called, so they belong right after the error they explain.

const std = @import("std");
const hybrid = @import("hybrid.zig");
const metrics = @import("pool_metrics.zig");
const tracks = @import("tracking.zig");
const Watch = @import("watch.zig").Watch;

const HybridMemoryPool = hybrid.HybridMemoryPool;
const Record = tracks.Record;
const Writer = std.Io.Writer;

/// Tags are listed largest first, so many at most.
const tags_listed_max = 8;

/// Why `size` more bytes were refused. Cut to the buffer's length.
pub fn limit(pool: *HybridMemoryPool, size: u64, buffer: []u8) []const u8 {
    var writer: Writer = .fixed(buffer);
    writeLimit(pool, size, &writer) catch {};
    return writer.buffered();
}

fn writeLimit(pool: *HybridMemoryPool, size: u64, writer: *Writer) Writer.Error!void {
    const now = metrics.read(pool);
    try writer.print("wanted {Bi:.1}, the pool holds {Bi:.1}", .{ size, now.held });
    if (now.size_max != std.math.maxInt(u64)) try writer.print(" of {Bi:.1}", .{now.size_max});
    var totals: [hybrid.tag_count]metrics.TagMetrics = undefined;
    metrics.readTags(pool, &totals);
    var separator: []const u8 = ": ";
    for (0..tags_listed_max) |_| {
        const tag = largest(&totals);
        if (totals[tag].used == 0) break;
        const name = pool.tags.of(@intCast(tag));
        try writer.print("{s}{s} {Bi:.1} in {d}", .{
            separator,
            if (name.len == 0) "untagged" else name,
            totals[tag].used,
            totals[tag].live_count,
        });
        totals[tag].used = 0;
        separator = ", ";
    }
    const rounding = now.held -| now.used;
    if (rounding > 0) try writer.print("{s}rounding {Bi:.1}", .{ separator, rounding });
}

fn largest(totals: *const [hybrid.tag_count]metrics.TagMetrics) usize {
    var best: usize = 0;
    for (totals, 0..) |total, tag| {
        // Sums of counters that others change meanwhile may be below zero for a moment.
        if (@as(i64, @bitCast(total.used)) > @as(i64, @bitCast(totals[best].used))) best = tag;
    }
    return best;
}

/// What is known of the block at `address`, or around it. Cut to the buffer's length.
pub fn block(pool: *HybridMemoryPool, address: u64, buffer: []u8) []const u8 {
    var writer: Writer = .fixed(buffer);
    writeBlock(pool, address, &writer) catch {};
    return writer.buffered();
}

fn writeBlock(pool: *HybridMemoryPool, address: u64, writer: *Writer) Writer.Error!void {
    try writer.print("0x{x}: ", .{address});
    const watch = pool.watch orelse
        return writer.writeAll("no block of this pool that it knows of (it keeps no records)");
    if (watch.tracking.find(address)) |record| {
        try writer.writeAll("live, ");
        return writeRecord(watch, record, writer);
    }
    if (watch.tracking.findAround(address)) |record| {
        try writer.print("{d} bytes into a live block, ", .{address - record.address});
        return writeRecord(watch, record, writer);
    }
    if (watch.tracking.lastFreed(address)) |record| {
        try writer.writeAll("freed, ");
        return writeRecord(watch, record, writer);
    }
    try writer.writeAll("no block of this pool, or one freed long ago");
}

fn writeRecord(watch: *Watch, record: Record, writer: *Writer) Writer.Error!void {
    const pool = watch.pool;
    const now = watch.tracking.now();
    const tag = pool.tags.of(record.tag);
    try writer.print("{d} bytes ({s}), allocated {d:.3} s ago on thread {d}", .{
        record.size,
        if (tag.len == 0) "untagged" else tag,
        seconds(now -| record.allocated_ns),
        record.thread,
    });
    if (record.label != 0) try writer.print(" by {s}", .{pool.labels.of(record.label)});
    if (record.freed_ns != 0) try writer.print(", freed {d:.3} s ago on thread {d}", .{
        seconds(now -| record.freed_ns),
        record.freed_thread,
    });
}

fn seconds(ns: u64) f64 {
    return @as(f64, @floatFromInt(ns)) / std.time.ns_per_s;
}

test "explain: the limit names the largest holders, a block its history" {
    const pool: *HybridMemoryPool = try .create(.{ .size_max = 8 << 20, .debug = true });
    const weights = try pool.tag("weights");
    const scratch = try pool.tag("scratch");
    const large = try pool.allocate(.{ .size = 3 << 20, .tag = weights });
    const label = try pool.label("a:1");
    const small = try pool.allocate(.{ .size = 100, .tag = scratch, .label = label });
    try std.testing.expectError(error.LimitReached, pool.allocate(.{ .size = 6 << 20 }));
    var buffer: [400]u8 = undefined;
    const text = limit(pool, 6 << 20, &buffer);
    const want = "wanted 6.0MiB, the pool holds 3.1MiB of 8.0MiB: weights 3.0MiB in 1, " ++
        "scratch 100B in 1, rounding 127.9KiB";
    try std.testing.expectEqualStrings(want, text);

    const address = @intFromPtr(small.ptr);
    try expectText(block(pool, address, &buffer), "live, 100 bytes (scratch)");
    try expectText(block(pool, address + 5, &buffer), "5 bytes into a live block");
    try pool.free(small, scratch);
    try expectText(block(pool, address, &buffer), "by a:1, freed 0.0");
    try expectText(block(pool, 64, &buffer), "no block of this pool");
    try pool.free(large, weights);
    try std.testing.expect(pool.close());
}

fn expectText(text: []const u8, part: []const u8) !void {
    if (std.mem.indexOf(u8, text, part) == null) {
        std.debug.print("'{s}' is not in '{s}'\n", .{ part, text });
        return error.TestUnexpectedResult;
    }
}
