//! A sequence of allocations and frees over numbered slots, made up or recorded, and its replay.

const std = @import("std");
const os = @import("memory").os;
const Subject = @import("subject.zig").Subject;

const operation_max = 200_000;
const slot_max = 4096;
const page_size = 4096;

/// Bookkeeping that must not be the subject's: static, and touched before the clock starts.
var operations: [operation_max]Operation = undefined;
var blocks: [slot_max]?[]u8 = undefined;
var sizes: [slot_max]usize = undefined;

/// A size of 0 frees the slot.
const Operation = struct { slot: u32, size: u32 };

pub const Trace = struct {
    slot_count: usize,
    operation_count: usize = 0,
    live: u64 = 0,
    live_max: u64 = 0,

    pub fn init(slot_count: usize) Trace {
        @memset(&operations, .{ .slot = 0, .size = 0 });
        @memset(&blocks, null);
        @memset(&sizes, 0);
        return .{ .slot_count = slot_count };
    }

    /// A recorded one: pairs of u32, the slot and the size, little-endian; size 0 frees the slot.
    pub fn read(path: [*:0]const u8) error{NoTrace}!Trace {
        const file = std.c.fopen(path, "rb") orelse return error.NoTrace;
        defer _ = std.c.fclose(file);
        var trace: Trace = .init(slot_max);
        var pair: [2]u32 = undefined;
        while (std.c.fread(@ptrCast(&pair), @sizeOf(@TypeOf(pair)), 1, file) == 1) {
            if (pair[0] >= slot_max or trace.operation_count + 2 > operation_max) break;
            if (pair[1] == 0) trace.free(pair[0]) else trace.replace(pair[0], pair[1]);
        }
        return if (trace.operation_count == 0) error.NoTrace else trace;
    }

    /// Frees the slot if it is taken, then allocates.
    pub fn replace(trace: *Trace, slot: usize, size: usize) void {
        if (sizes[slot] != 0) trace.free(slot);
        trace.add(slot, size);
        trace.live += size;
        trace.live_max = @max(trace.live_max, trace.live);
    }

    pub fn free(trace: *Trace, slot: usize) void {
        trace.live -= sizes[slot];
        trace.add(slot, 0);
    }

    fn add(trace: *Trace, slot: usize, size: usize) void {
        std.debug.assert(slot < trace.slot_count);
        operations[trace.operation_count] = .{ .slot = @intCast(slot), .size = @intCast(size) };
        trace.operation_count += 1;
        sizes[slot] = size;
    }

    /// Nanoseconds that it took, writing to the memory included.
    pub fn replay(trace: *const Trace, subject: *const Subject) u64 {
        const start = os.now();
        for (operations[0..trace.operation_count]) |operation| {
            const block = &blocks[operation.slot];
            if (operation.size == 0) {
                subject.free(block.*.?);
                block.* = null;
                continue;
            }
            const memory = subject.allocate(operation.size);
            var at: usize = 0;
            while (at < memory.len) : (at += page_size) memory[at] = 1;
            memory[memory.len - 1] = 1;
            block.* = memory;
        }
        const time = os.now() - start;
        for (blocks[0..trace.slot_count]) |*block| {
            if (block.*) |memory| subject.free(memory);
            block.* = null;
        }
        return time;
    }
};
