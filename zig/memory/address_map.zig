//! A table from addresses to what is known of them, of a fixed capacity: open addressing with
//! linear probing, and deletion that moves later entries back, so it never fills with graves.
//! The caller holds a lock.

const std = @import("std");

pub const Entry = struct {
    /// 0 stands for none.
    key: u64,
    value: u64,
};

pub const AddressMap = struct {
    /// A power of two of them.
    entries: []Entry,
    count: usize = 0,

    /// At most this share of the entries is used, so that probes stay short.
    pub fn isFull(map: *const AddressMap) bool {
        return map.count >= map.entries.len / 2;
    }

    pub fn put(map: *AddressMap, key: u64, value: u64) void {
        std.debug.assert(key != 0 and !map.isFull());
        var at = map.home(key);
        while (map.entries[at].key != 0) at = map.after(at);
        map.entries[at] = .{ .key = key, .value = value };
        map.count += 1;
    }

    pub fn get(map: *const AddressMap, key: u64) ?u64 {
        return map.entries[map.find(key) orelse return null].value;
    }

    pub fn remove(map: *AddressMap, key: u64) ?u64 {
        var hole = map.find(key) orelse return null;
        const value = map.entries[hole].value;
        var at = map.after(hole);
        while (map.entries[at].key != 0) : (at = map.after(at)) {
            // An entry may fill the hole unless its home lies behind the hole.
            const from_home = (at -% map.home(map.entries[at].key)) & (map.entries.len - 1);
            const from_hole = (at -% hole) & (map.entries.len - 1);
            if (from_home < from_hole) continue;
            map.entries[hole] = map.entries[at];
            hole = at;
        }
        map.entries[hole].key = 0;
        map.count -= 1;
        return value;
    }

    fn find(map: *const AddressMap, key: u64) ?usize {
        var at = map.home(key);
        while (map.entries[at].key != key) : (at = map.after(at)) {
            if (map.entries[at].key == 0) return null;
        }
        return at;
    }

    fn home(map: *const AddressMap, key: u64) usize {
        const mixed = (key >> 12) *% 0x9e37_79b9_7f4a_7c15;
        return @intCast((mixed >> 32) & (map.entries.len - 1));
    }

    fn after(map: *const AddressMap, at: usize) usize {
        return (at + 1) & (map.entries.len - 1);
    }
};

test "address map: agrees with a list under random puts and removals" {
    var entries: [64]Entry = @splat(.{ .key = 0, .value = 0 });
    var map: AddressMap = .{ .entries = &entries };
    var known: [32]u64 = @splat(0);
    var prng: std.Random.DefaultPrng = .init(7);
    const random = prng.random();
    for (0..20_000) |round| {
        const slot = random.uintLessThan(usize, known.len);
        if (known[slot] == 0) {
            const key = (random.int(u64) | 1) << 12;
            map.put(key, round);
            known[slot] = key;
        } else {
            try std.testing.expect(map.remove(known[slot]) != null);
            try std.testing.expectEqual(null, map.get(known[slot]));
            known[slot] = 0;
        }
        for (known) |key| if (key != 0) try std.testing.expect(map.get(key) != null);
    }
}
