//! Debug mode: guard bytes before and after each block, poison in what was freed, and a quarantine
//! that keeps freed blocks from being used again for a while, so that a late write is seen.

const std = @import("std");
const Meta = @import("meta.zig").Meta;
const Mutex = @import("../threads/sync.zig").Mutex;
const Record = @import("tracking.zig").Record;

const guard_byte: u8 = 0xfb;
const poison_byte: u8 = 0xdd;
const guard_size_min = 32;
const quarantine_count = 256;
const quarantine_size_max = 16 << 20;
/// Only so much of a block is poisoned: a large one may have pages that never were touched.
const poison_size_max = 1 << 20;
const fault_count_max = 32;

/// What stands around a block's own bytes.
pub const Frame = struct {
    before: usize,
    size: usize,

    pub fn of(alignment: usize) Frame {
        const before = @max(alignment, guard_size_min);
        return .{ .before = before, .size = before + guard_size_min };
    }
};

pub const FaultKind = enum(u32) {
    double_free,
    foreign_pointer,
    wrong_size,
    written_before_start,
    written_past_end,
    written_after_free,
};

pub const Fault = extern struct {
    kind: FaultKind,
    reserved: u32 = 0,
    address: u64,
    time_ns: u64,
};

pub const Debug = struct {
    mutex: Mutex = .{},
    /// Freed blocks, oldest at `first`.
    quarantine: []Record,
    first: usize = 0,
    count: usize = 0,
    size: u64 = 0,
    faults: [fault_count_max]Fault = undefined,
    fault_count: std.atomic.Value(u64) = .init(0),

    pub fn init(meta: *Meta) error{OutOfMemory}!Debug {
        return .{
            .quarantine = meta.slice(Record, quarantine_count) orelse return error.OutOfMemory,
        };
    }

    pub fn note(debug: *Debug, fault: Fault) void {
        debug.mutex.lock();
        defer debug.mutex.unlock();
        const count = debug.fault_count.raw;
        if (count < fault_count_max) debug.faults[@intCast(count)] = fault;
        debug.fault_count.store(count + 1, .monotonic);
    }

    /// Copies the first faults and tells how many.
    pub fn copyFaults(debug: *Debug, to: []Fault) usize {
        debug.mutex.lock();
        defer debug.mutex.unlock();
        const count: usize = @intCast(@min(debug.fault_count.raw, fault_count_max, to.len));
        @memcpy(to[0..count], debug.faults[0..count]);
        return count;
    }

    /// Keeps a freed block back; false when it is too large for that.
    pub fn admit(debug: *Debug, record: Record) bool {
        if (record.size > quarantine_size_max) return false;
        debug.mutex.lock();
        defer debug.mutex.unlock();
        if (debug.count == quarantine_count) return false;
        debug.quarantine[(debug.first + debug.count) % quarantine_count] = record;
        debug.count += 1;
        debug.size += record.size;
        return true;
    }

    /// The block that has waited longest, when there are too many, or when `all` are to go.
    pub fn dismiss(debug: *Debug, all: bool) ?Record {
        debug.mutex.lock();
        defer debug.mutex.unlock();
        const too_many = debug.count > quarantine_count / 2 or debug.size > quarantine_size_max;
        if (debug.count == 0 or !(all or too_many)) return null;
        const record = debug.quarantine[debug.first];
        debug.first = (debug.first + 1) % quarantine_count;
        debug.count -= 1;
        debug.size -= record.size;
        return record;
    }
};

/// Writes the guards around `memory`.
pub fn guard(memory: []u8, alignment: usize) void {
    const frame: Frame = .of(alignment);
    @memset((memory.ptr - frame.before)[0..frame.before], guard_byte);
    @memset((memory.ptr + memory.len)[0..guard_size_min], guard_byte);
}

pub fn checkGuards(memory: []const u8, alignment: usize) ?FaultKind {
    const frame: Frame = .of(alignment);
    const before = (memory.ptr - frame.before)[0..frame.before];
    const after = (memory.ptr + memory.len)[0..guard_size_min];
    if (!std.mem.allEqual(u8, before, guard_byte)) return .written_before_start;
    if (!std.mem.allEqual(u8, after, guard_byte)) return .written_past_end;
    return null;
}

pub fn poison(memory: []u8) void {
    @memset(poisoned(memory), poison_byte);
}

pub fn isPoisoned(memory: []u8) bool {
    return std.mem.allEqual(u8, poisoned(memory), poison_byte);
}

fn poisoned(memory: []u8) []u8 {
    return memory[0..@min(memory.len, poison_size_max)];
}
