//! Numbers that stand for native objects across the boundary: index and generation in a u32, so a
//! stale or invented handle is refused, and a count of holders, so that an object in use outlives
//! its release. `T` needs `fn destroy(*T) void`, called once the last holder is gone.

const std = @import("std");
const Mutex = @import("../threads/sync.zig").Mutex;

pub const Error = error{ InvalidHandle, OutOfMemory };

const index_bits = 20;
const Index = std.meta.Int(.unsigned, index_bits);
const Generation = std.meta.Int(.unsigned, 32 - index_bits);
const none = std.math.maxInt(u32);

pub fn Table(comptime T: type) type {
    return struct {
        const Self = @This();

        const Entry = struct {
            object: ?*T = null,
            holders: u32 = 0,
            /// The owner's own hold: gone after `release`, which works once.
            open: bool = false,
            generation: Generation = 1,
            next_free: u32 = none,
        };

        mutex: Mutex = .{},
        entries: std.ArrayList(Entry) = .empty,
        free_head: u32 = none,
        open_count: u32 = 0,
        /// What new entries begin with: no handle of a place that was cut off is valid there again.
        first_generation: Generation = 1,

        /// Takes `object` over and gives it a handle, never 0.
        pub fn add(table: *Self, gpa: std.mem.Allocator, object: *T) Error!u32 {
            table.mutex.lock();
            defer table.mutex.unlock();
            const index = try table.takeEntry(gpa);
            const entry = &table.entries.items[index];
            entry.object = object;
            entry.holders = 1;
            entry.open = true;
            table.open_count += 1;
            return @as(u32, entry.generation) << index_bits | index;
        }

        fn takeEntry(table: *Self, gpa: std.mem.Allocator) Error!u32 {
            if (table.free_head != none) {
                const index = table.free_head;
                table.free_head = table.entries.items[index].next_free;
                return index;
            }
            const index = table.entries.items.len;
            if (index > std.math.maxInt(Index)) return error.OutOfMemory;
            try table.entries.append(gpa, .{ .generation = table.first_generation });
            return @intCast(index);
        }

        /// The object, held until `drop`. A released handle is refused.
        pub fn hold(table: *Self, handle: u32) Error!*T {
            table.mutex.lock();
            defer table.mutex.unlock();
            return table.holdLocked(handle);
        }

        /// As `hold`, for who has the mutex: many at a time cost one lock.
        pub fn holdLocked(table: *Self, handle: u32) Error!*T {
            const entry = try table.find(handle);
            if (!entry.open) return error.InvalidHandle;
            entry.holders += 1;
            return entry.object.?;
        }

        /// As `hold`, but refused while anyone else holds the object too.
        pub fn holdAlone(table: *Self, handle: u32) (Error || error{InUse})!*T {
            table.mutex.lock();
            defer table.mutex.unlock();
            const entry = try table.find(handle);
            if (!entry.open) return error.InvalidHandle;
            if (entry.holders > 1) return error.InUse;
            entry.holders += 1;
            return entry.object.?;
        }

        /// Ends one hold.
        pub fn drop(table: *Self, handle: u32) void {
            const gone = blk: {
                table.mutex.lock();
                defer table.mutex.unlock();
                const entry = table.find(handle) catch unreachable;
                break :blk table.dropLocked(entry, handle);
            };
            if (gone) |object| object.destroy();
        }

        /// Ends a hold on each of these; a handle of 0 is none.
        pub fn dropAll(table: *Self, list: []const u32) void {
            table.mutex.lock();
            defer table.mutex.unlock();
            for (list) |handle| {
                if (handle == 0) continue;
                const entry = table.find(handle) catch unreachable;
                const gone = table.dropLocked(entry, handle) orelse continue;
                table.mutex.unlock();
                defer table.mutex.lock();
                gone.destroy();
            }
        }

        /// Ends the owner's hold; the object lives on while others hold it.
        pub fn release(table: *Self, handle: u32) Error!void {
            const gone = blk: {
                table.mutex.lock();
                defer table.mutex.unlock();
                const entry = try table.find(handle);
                if (!entry.open) return error.InvalidHandle;
                entry.open = false;
                table.open_count -= 1;
                break :blk table.dropLocked(entry, handle);
            };
            if (gone) |object| object.destroy();
        }

        /// Gives back the free places at the table's end, if they are half of it or more.
        pub fn compact(table: *Self, gpa: std.mem.Allocator) void {
            table.mutex.lock();
            defer table.mutex.unlock();
            const entries = table.entries.items;
            var end = entries.len;
            while (end > 0 and entries[end - 1].object == null) end -= 1;
            if (2 * end > entries.len) return;
            for (entries[end..]) |entry| {
                table.first_generation = @max(table.first_generation, entry.generation);
            }
            table.entries.shrinkAndFree(gpa, end);
            table.free_head = none;
            for (table.entries.items, 0..) |*entry, index| if (entry.object == null) {
                entry.next_free = table.free_head;
                table.free_head = @intCast(index);
            };
        }

        fn dropLocked(table: *Self, entry: *Entry, handle: u32) ?*T {
            entry.holders -= 1;
            if (entry.holders > 0) return null;
            const object = entry.object.?;
            const index: Index = @truncate(handle);
            entry.* = .{
                .generation = if (entry.generation == std.math.maxInt(Generation))
                    1
                else
                    entry.generation + 1,
                .next_free = table.free_head,
            };
            table.free_head = index;
            return object;
        }

        fn find(table: *Self, handle: u32) Error!*Entry {
            const index: Index = @truncate(handle);
            if (index >= table.entries.items.len) return error.InvalidHandle;
            const entry = &table.entries.items[index];
            if (entry.object == null or entry.generation != handle >> index_bits) {
                return error.InvalidHandle;
            }
            return entry;
        }
    };
}

const Probe = struct {
    destroyed: u32 = 0,

    pub fn destroy(probe: *Probe) void {
        probe.destroyed += 1;
    }
};

test "handles: an object lives until its last holder is gone, and stale handles are refused" {
    const gpa = std.testing.allocator;
    var table: Table(Probe) = .{};
    defer table.entries.deinit(gpa);
    var probe: Probe = .{};

    const handle = try table.add(gpa, &probe);
    try std.testing.expectEqual(&probe, try table.hold(handle));
    try std.testing.expectError(error.InUse, table.holdAlone(handle));
    try table.release(handle);
    try std.testing.expectEqual(@as(u32, 0), probe.destroyed);
    try std.testing.expectError(error.InvalidHandle, table.hold(handle));
    try std.testing.expectError(error.InvalidHandle, table.release(handle));
    table.drop(handle);
    try std.testing.expectEqual(@as(u32, 1), probe.destroyed);

    const second = try table.add(gpa, &probe);
    try std.testing.expect(second != handle);
    try std.testing.expectError(error.InvalidHandle, table.hold(handle));
    try std.testing.expectError(error.InvalidHandle, table.hold(0));
    try std.testing.expectEqual(&probe, try table.hold(second));
    try table.release(second);
    table.dropAll(&.{ 0, second, 0 });
    try std.testing.expectEqual(@as(u32, 2), probe.destroyed);
}

test "handles: a compacted table refuses the handles of what was cut off, and grows again" {
    const gpa = std.testing.allocator;
    var table: Table(Probe) = .{};
    defer table.entries.deinit(gpa);
    var probe: Probe = .{};
    var opened: [8]u32 = undefined;
    for (&opened) |*handle| handle.* = try table.add(gpa, &probe);
    table.compact(gpa);
    try std.testing.expectEqual(8, table.entries.items.len);
    for ([_]u32{ 0, 4, 5, 6, 7 }) |index| try table.release(opened[index]);
    table.compact(gpa);
    try std.testing.expectEqual(4, table.entries.items.len);
    for ([_]u32{ 1, 2, 3 }) |index| {
        try std.testing.expectEqual(&probe, try table.hold(opened[index]));
        table.drop(opened[index]);
    }
    var again: [6]u32 = undefined;
    for (&again) |*handle| handle.* = try table.add(gpa, &probe);
    for ([_]u32{ 0, 4, 5, 6, 7 }) |index| {
        try std.testing.expectError(error.InvalidHandle, table.hold(opened[index]));
    }
    for (again) |handle| try table.release(handle);
    for ([_]u32{ 1, 2, 3 }) |index| try table.release(opened[index]);
    table.compact(gpa);
    try std.testing.expectEqual(0, table.entries.items.len);
}
