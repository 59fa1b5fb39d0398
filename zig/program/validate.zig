//! Decides whether a Program may run at all, before it ever does: every slot lies inside its region
//! at the largest sizes, every operand fits its op, no two workers can race, and no instruction
//! writes what it should not. What passes here cannot read or write out of bounds; kernels check
//! only what lies in data.

const std = @import("std");
const abi = @import("../abi.zig");
const blob_format = @import("blob.zig");
const hazards = @import("hazards.zig");
const layouts = @import("layouts.zig");
const rules = @import("rules.zig");

const Blob = blob_format.Blob;

pub const Error = error{ InvalidProgram, OutOfMemory };

/// Where in the blob the first error was found.
pub const Report = struct {
    part: []const u8 = "header",
    index: usize = 0,
    reason: []const u8 = "the tables do not fit the size",
};

/// The bytes of a slot at the largest sizes, within its region.
pub const Range = struct { start: u64, end: u64 };

const sym_max = 1 << 26;
const region_size_max = 1 << 46;
/// Of one slot, broadcast axes included: products of extents never overflow.
const element_count_max = 1 << 46;

/// Checks all of `blob`; `ranges` has room for one range a slot and is filled.
pub fn validate(
    gpa: std.mem.Allocator,
    blob: *const Blob,
    ranges: []Range,
    report: *Report,
) Error!void {
    for (blob.syms, 0..) |sym, index| {
        report.* = .{ .part = "sym", .index = index, .reason = "min, max or limit" };
        if (sym.min > sym.max or sym.max > sym_max) return error.InvalidProgram;
    }
    for (blob.regions, 0..) |region, index| {
        report.* = .{ .part = "region", .index = index, .reason = "kind, alignment or size" };
        try checkRegion(region);
    }
    for (blob.dims, 0..) |dim, index| {
        report.* = .{ .part = "dim", .index = index, .reason = "symbol or extent" };
        try checkDim(blob, dim);
    }
    for (blob.slots, 0..) |slot, index| {
        report.* = .{ .part = "slot", .index = index, .reason = "extents leave the region" };
        ranges[index] = try checkSlot(blob, slot);
    }
    for (blob.slots, 0..) |slot, index| {
        report.* = .{ .part = "slot", .index = index, .reason = "row scales" };
        try checkRowScale(blob, slot);
    }
    for (blob.instrs, 0..) |instr, index| {
        report.* = .{ .part = "instruction", .index = index, .reason = "tables" };
        try checkInstr(blob, instr, ranges, report);
    }
    for (blob.feedbacks, 0..) |feedback, index| {
        report.* = .{ .part = "feedback", .index = index, .reason = "slots differ" };
        try checkFeedback(blob, feedback);
        report.reason = "it reads what another has copied to";
        for (blob.feedbacks[0 .. index + 1]) |earlier| {
            if (overlaps(blob, ranges, feedback.from, earlier.to)) return error.InvalidProgram;
        }
    }
    report.* = .{ .part = "instruction", .reason = "a barrier is missing" };
    try hazards.check(gpa, blob, ranges, &report.index);
}

fn checkRegion(region: abi.Region) Error!void {
    if (!validEnum(abi.RegionKind, region.kind)) return error.InvalidProgram;
    if (@popCount(region.alignment) != 1 or region.alignment > 64) return error.InvalidProgram;
    if (region.size_at_max > region_size_max) return error.InvalidProgram;
}

fn checkDim(blob: *const Blob, dim: abi.Dim) Error!void {
    if (dim.sym == abi.no_sym) {
        if (dim.mul != 0) return error.InvalidProgram;
    } else {
        if (dim.sym >= blob.syms.len) return error.InvalidProgram;
        if (blob_format.extentOf(dim, blob.syms[dim.sym].min) < 0) return error.InvalidProgram;
    }
    if (blob.extentMax(dim) > std.math.maxInt(u32)) return error.InvalidProgram;
}

fn checkSlot(blob: *const Blob, slot: abi.Slot) Error!Range {
    if (slot.region >= blob.regions.len) return error.InvalidProgram;
    if (!validEnum(abi.DType, slot.dtype)) return error.InvalidProgram;
    if (!validEnum(abi.Layout, slot.layout)) return error.InvalidProgram;
    if (slot.rank > abi.rank_max) return error.InvalidProgram;
    if (!fits(slot.dims, slot.rank, blob.dims.len)) return error.InvalidProgram;
    const size_max = blob.regions[slot.region].size_at_max;
    if (slot.offset > size_max) return error.InvalidProgram;
    if (blob.layout(slot) != .strided) {
        const dims = blob.slotDims(slot);
        if (slot.rank != 2 or blob.dtype(slot) != layouts.logicalDType(blob.layout(slot))) {
            return error.InvalidProgram;
        }
        for (dims) |dim| if (dim.sym != abi.no_sym) return error.InvalidProgram;
        const size = try layouts.packedSize(blob.layout(slot), dims[0].add, dims[1].add);
        if (size > size_max - slot.offset) return error.InvalidProgram;
        return .{ .start = slot.offset, .end = slot.offset + size };
    }
    if (!fits(slot.strides, slot.rank, blob.strides.len)) return error.InvalidProgram;
    return stridedRange(blob, slot, size_max);
}

/// Bounds of all addresses that strides can reach, signed, in 128 bits so that nothing overflows.
/// A slot without elements touches nothing, but its strides and extents are bounded like any.
fn stridedRange(blob: *const Blob, slot: abi.Slot, size_max: u64) Error!Range {
    const element: i128 = layouts.elementSize(blob.dtype(slot));
    var low: i128 = slot.offset;
    var high: i128 = slot.offset;
    var count: u64 = 1;
    var empty = false;
    for (blob.slotDims(slot), blob.slotStrides(slot)) |dim, stride| {
        const extent = @max(1, blob.extentMax(dim));
        if (blob.extentMax(dim) == 0) empty = true;
        const reach = @as(i128, stride) * (extent - 1) * element;
        if (@abs(reach) > region_size_max) return error.InvalidProgram;
        if (reach < 0) low += reach else high += reach;
        count = std.math.mul(u64, count, extent) catch return error.InvalidProgram;
        if (count > element_count_max) return error.InvalidProgram;
    }
    if (empty) return .{ .start = slot.offset, .end = slot.offset };
    high += element;
    if (low < 0 or high > size_max) return error.InvalidProgram;
    return .{ .start = @intCast(low), .end = @intCast(high) };
}

fn checkRowScale(blob: *const Blob, slot: abi.Slot) Error!void {
    if (slot.row_scale_slot == abi.no_slot) return;
    if (slot.row_scale_slot >= blob.slots.len or blob.layout(slot) == .strided) {
        return error.InvalidProgram;
    }
    const scale = blob.slots[slot.row_scale_slot];
    if (blob.dtype(scale) != .f32 or blob.layout(scale) != .strided or scale.rank != 1) {
        return error.InvalidProgram;
    }
    if (blob.slotStrides(scale)[0] != 1 or !aligned(blob, scale)) return error.InvalidProgram;
    const rows = blob.slotDims(slot)[0];
    if (!std.meta.eql(rows, blob.slotDims(scale)[0])) return error.InvalidProgram;
}

fn checkInstr(
    blob: *const Blob,
    instr: abi.Instr,
    ranges: []const Range,
    report: *Report,
) Error!void {
    if (!validEnum(abi.Op, instr.op)) return error.InvalidProgram;
    if (instr.flags >= 8) return error.InvalidProgram;
    const count = @as(u32, instr.input_count) + instr.output_count;
    if (!fits(instr.operands, count, blob.operands.len)) return error.InvalidProgram;
    const operands = blob.instrOperands(instr);
    for (operands) |slot| if (slot >= blob.slots.len) return error.InvalidProgram;
    const op: abi.Op = @enumFromInt(instr.op);
    const attr_words = rules.attrWords(op);
    if (!fits(instr.attrs, attr_words, blob.attrs.len)) return error.InvalidProgram;
    if (instr.predicate_slot != abi.no_slot) try checkPredicate(blob, instr.predicate_slot);

    report.reason = "an operand does not fit the operation";
    try rules.check(.{
        .blob = blob,
        .inputs = operands[0..instr.input_count],
        .outputs = operands[instr.input_count..],
        .attrs = blob.attrs[instr.attrs..][0..attr_words],
    }, op);

    report.reason = "an output overlaps itself, another operand, the predicate, or a constant";
    for (operands[instr.input_count..], instr.input_count..) |output, at| {
        try checkOutput(blob, output);
        for (operands, 0..) |other, other_at| {
            if (at == other_at) continue;
            const same_input = other_at < instr.input_count and other == output;
            if (same_input and rules.allowsInPlace(op)) continue;
            if (overlaps(blob, ranges, output, other)) return error.InvalidProgram;
        }
        for (operands) |other| {
            const scale = blob.slots[other].row_scale_slot;
            if (scale == abi.no_slot) continue;
            if (overlaps(blob, ranges, output, scale)) return error.InvalidProgram;
        }
        const predicate = instr.predicate_slot;
        if (predicate == abi.no_slot) continue;
        if (overlaps(blob, ranges, output, predicate)) return error.InvalidProgram;
    }
}

fn checkPredicate(blob: *const Blob, index: u32) Error!void {
    if (index >= blob.slots.len) return error.InvalidProgram;
    const slot = blob.slots[index];
    if (blob.dtype(slot) != .i32 or blob.layout(slot) != .strided or !aligned(blob, slot)) {
        return error.InvalidProgram;
    }
    for (blob.slotDims(slot)) |dim| {
        if (dim.sym != abi.no_sym or dim.add != 1) return error.InvalidProgram;
    }
}

fn checkOutput(blob: *const Blob, output: u32) Error!void {
    const slot = blob.slots[output];
    if (blob.regionKind(slot) == .constant) return error.InvalidProgram;
    if (blob.layout(slot) == .strided and !distinct(blob, slot)) return error.InvalidProgram;
}

/// Whether no two index tuples of a slot share an element: with strides sorted by size, each is
/// larger than all that the smaller ones can reach together.
fn distinct(blob: *const Blob, slot: abi.Slot) bool {
    var steps: [abi.rank_max]u64 = undefined;
    var reaches: [abi.rank_max]u64 = undefined;
    var count: usize = 0;
    for (blob.slotDims(slot), blob.slotStrides(slot)) |dim, stride| {
        const extent = blob.extentMax(dim);
        if (extent == 0) return true;
        if (extent <= 1) continue;
        var at = count;
        const step = @abs(stride);
        while (at > 0 and steps[at - 1] > step) : (at -= 1) {
            steps[at] = steps[at - 1];
            reaches[at] = reaches[at - 1];
        }
        steps[at] = step;
        reaches[at] = step * (extent - 1);
        count += 1;
    }
    var reach: u64 = 0;
    for (steps[0..count], reaches[0..count]) |step, own| {
        if (step <= reach) return false;
        reach += own;
    }
    return true;
}

fn checkFeedback(blob: *const Blob, feedback: abi.Feedback) Error!void {
    if (feedback.from >= blob.slots.len or feedback.to >= blob.slots.len) {
        return error.InvalidProgram;
    }
    const from = blob.slots[feedback.from];
    const to = blob.slots[feedback.to];
    switch (blob.regionKind(to)) {
        .state, .input, .output => {},
        // Between the steps of one run, other runs may use the arena.
        .arena, .constant => return error.InvalidProgram,
    }
    if (from.dtype != to.dtype or from.rank != to.rank) return error.InvalidProgram;
    for (blob.slotDims(from), blob.slotDims(to)) |a, b| {
        if (!std.meta.eql(a, b)) return error.InvalidProgram;
    }
    if (!contiguous(blob, from) or !contiguous(blob, to)) return error.InvalidProgram;
}

/// Row-major without gaps at the largest sizes.
pub fn contiguous(blob: *const Blob, slot: abi.Slot) bool {
    if (blob.layout(slot) != .strided) return false;
    const dims = blob.slotDims(slot);
    const strides = blob.slotStrides(slot);
    var expected: u64 = 1;
    var axis: usize = slot.rank;
    while (axis > 0) {
        axis -= 1;
        if (axis > 0 and dims[axis].sym != abi.no_sym) return false;
        if (strides[axis] != expected) return false;
        expected *|= blob.extentMax(dims[axis]);
    }
    return true;
}

/// Whether the slot's elements lie at addresses natural to their dtype.
pub fn aligned(blob: *const Blob, slot: abi.Slot) bool {
    const size = layouts.elementSize(blob.dtype(slot));
    return slot.offset % size == 0 and blob.regions[slot.region].alignment >= size;
}

pub fn overlaps(blob: *const Blob, ranges: []const Range, a: u32, b: u32) bool {
    if (blob.slots[a].region != blob.slots[b].region) return false;
    return ranges[a].start < ranges[b].end and ranges[b].start < ranges[a].end;
}

fn fits(start: u32, count: u32, len: usize) bool {
    return @as(u64, start) + count <= len;
}

fn validEnum(comptime E: type, value: anytype) bool {
    return value < @typeInfo(E).@"enum".fields.len;
}
