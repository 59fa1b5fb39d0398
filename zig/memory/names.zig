//! Names that stand for small numbers: tags of blocks and labels of call sites. A name keeps its
//! number as long as the pool lives; number 0 is the empty name. Reading needs no lock.

const std = @import("std");
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;

pub const Error = error{ OutOfMemory, TooManyNames, NameTooLong };

pub const name_size_max = 200;

pub const Names = struct {
    meta: *Meta,
    mutex: Mutex = .{},
    names: [][]const u8,
    /// Numbers by hash, open addressing; 0 is none.
    slots: []u32,
    count: std.atomic.Value(u32) = .init(1),

    /// `capacity` is a power of two, the empty name included.
    pub fn init(meta: *Meta, capacity: u32) error{OutOfMemory}!Names {
        const names: Names = .{
            .meta = meta,
            .names = meta.slice([]const u8, capacity) orelse return error.OutOfMemory,
            .slots = meta.slice(u32, 2 * capacity) orelse return error.OutOfMemory,
        };
        names.names[0] = "";
        return names;
    }

    /// The number of this name: its old one, or a new one.
    pub fn intern(names: *Names, name: []const u8) Error!u32 {
        if (name.len == 0) return 0;
        if (name.len > name_size_max) return error.NameTooLong;
        names.mutex.lock();
        defer names.mutex.unlock();
        var at: usize = @intCast(std.hash.Wyhash.hash(0, name) & (names.slots.len - 1));
        while (names.slots[at] != 0) : (at = (at + 1) & (names.slots.len - 1)) {
            const number = names.slots[at];
            if (std.mem.eql(u8, names.names[number], name)) return number;
        }
        const number = names.count.raw;
        if (number == names.names.len) return error.TooManyNames;
        const copy = names.meta.slice(u8, name.len) orelse return error.OutOfMemory;
        @memcpy(copy, name);
        names.names[number] = copy;
        names.slots[at] = number;
        names.count.store(number + 1, .release);
        return number;
    }

    /// The name of a number from `intern`; the empty one for any other.
    pub fn of(names: *const Names, number: u32) []const u8 {
        return if (number < names.count.load(.acquire)) names.names[number] else "";
    }
};

test "names: the same name has one number, and a full table says so" {
    const Faulty = @import("source.zig").Faulty;
    var faulty: Faulty = .{};
    var meta: Meta = .{ .source = faulty.source() };
    defer meta.deinit();
    var names: Names = try .init(&meta, 4);
    const weights = try names.intern("weights");
    try std.testing.expectEqual(weights, try names.intern("weights"));
    try std.testing.expectEqualStrings("weights", names.of(weights));
    try std.testing.expectEqual(0, try names.intern(""));
    _ = try names.intern("a");
    _ = try names.intern("b");
    try std.testing.expectError(error.TooManyNames, names.intern("c"));
    try std.testing.expectError(error.NameTooLong, names.intern("x" ** 201));
    try std.testing.expectEqualStrings("", names.of(77));
}
