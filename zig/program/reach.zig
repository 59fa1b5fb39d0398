//! How much of a region a run can touch. A run with small symbols makes do with less than one at
//! the largest sizes, so that what callers bind need not be as large as it could become.

const std = @import("std");
const abi = @import("../abi.zig");
const Blob = @import("blob.zig").Blob;
const layouts = @import("layouts.zig");

/// By region the bytes from its beginning. The program is valid and the symbols are within its
/// limits, so that no slot reaches further than at the largest sizes.
pub fn ofRegions(blob: *const Blob, syms: []align(1) const u32, reaches: []u64) void {
    @memset(reaches, 0);
    for (blob.slots) |slot| {
        reaches[slot.region] = @max(reaches[slot.region], ofSlot(blob, slot, syms));
    }
}

fn ofSlot(blob: *const Blob, slot: abi.Slot, syms: []align(1) const u32) u64 {
    const dims = blob.slotDims(slot);
    if (blob.layout(slot) != .strided) {
        // Of fixed extents, as is checked.
        const size = layouts.packedSize(blob.layout(slot), dims[0].add, dims[1].add);
        return slot.offset + (size catch unreachable);
    }
    const element: u64 = layouts.elementSize(blob.dtype(slot));
    var end = slot.offset + element;
    for (dims, blob.slotStrides(slot)) |dim, stride| {
        const extent = blob.extentAt(dim, syms);
        if (extent == 0) return slot.offset;
        if (stride > 0) end += @as(u64, @intCast(stride)) * (extent - 1) * element;
    }
    return end;
}

test "reach: a run of few rows touches their bytes, one of most of them all" {
    const dims = [_]abi.Dim{
        .{ .sym = 0, .reserved = 0, .mul = 2, .add = 0 },
        .{ .sym = abi.no_sym, .reserved = 0, .mul = 0, .add = 4 },
    };
    var slot = std.mem.zeroes(abi.Slot);
    slot.offset = 64;
    slot.dtype = @intFromEnum(abi.DType.f32);
    slot.rank = 2;
    slot.row_scale_slot = abi.no_slot;
    const blob: Blob = .{
        .regions = &.{.{ .kind = 0, .alignment = 64, .size_at_max = 64 + 10 * 2 * 4 * 4 }},
        .strides = &.{ 4, 1 },
        .slots = &.{slot},
        .syms = &.{.{ .min = 0, .max = 10 }},
        .dims = &dims,
        .operands = &.{},
        .attrs = &.{},
        .instrs = &.{},
        .feedbacks = &.{},
    };
    const sizes_at = [_][2]u32{ .{ 64, 0 }, .{ 64 + 96, 3 }, .{ 64 + 320, 10 } };
    for (sizes_at) |size_at| {
        var reaches: [1]u64 = undefined;
        ofRegions(&blob, &.{size_at[1]}, &reaches);
        try std.testing.expectEqual(size_at[0], reaches[0]);
    }
}
