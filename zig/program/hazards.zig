//! Finds missing barriers: between two barriers no worker may touch what another worker writes.
//! Serial instructions all run on worker 0, in order, and need no barrier among themselves.

const std = @import("std");
const abi = @import("../abi.zig");
const Blob = @import("blob.zig").Blob;
const validation = @import("validate.zig");

const Touch = struct { slot: u32, writes: bool, serial: bool };

/// Past this many operands between two barriers a Program is refused: the check is quadratic.
const touch_count_max = 4096;

/// Fails at the first instruction that needs a barrier before it, whose index it leaves in `at`.
pub fn check(
    gpa: std.mem.Allocator,
    blob: *const Blob,
    ranges: []const validation.Range,
    at: *usize,
) validation.Error!void {
    var touches: std.ArrayList(Touch) = .empty;
    defer touches.deinit(gpa);
    for (blob.instrs, 0..) |instr, index| {
        at.* = index;
        if (instr.flags & @intFromEnum(abi.InstrFlag.barrier_before) != 0) {
            touches.clearRetainingCapacity();
        }
        const serial = instr.flags & @intFromEnum(abi.InstrFlag.serial) != 0;
        const start = touches.items.len;
        for (blob.instrOperands(instr), 0..) |slot, operand| {
            try touches.append(gpa, .{
                .slot = slot,
                .writes = operand >= instr.input_count,
                .serial = serial,
            });
            const scale = blob.slots[slot].row_scale_slot;
            if (scale != abi.no_slot) {
                try touches.append(gpa, .{ .slot = scale, .writes = false, .serial = serial });
            }
        }
        if (instr.predicate_slot != abi.no_slot) {
            try touches.append(gpa, .{
                .slot = instr.predicate_slot,
                .writes = false,
                .serial = serial,
            });
        }
        if (touches.items.len > touch_count_max) return error.InvalidProgram;
        for (touches.items[start..]) |mine| {
            for (touches.items[0..start]) |earlier| {
                if (mine.serial and earlier.serial) continue;
                if (!mine.writes and !earlier.writes) continue;
                if (validation.overlaps(blob, ranges, mine.slot, earlier.slot)) {
                    return error.InvalidProgram;
                }
            }
        }
    }
}
