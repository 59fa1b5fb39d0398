//! The tables of a Program blob, as slices into a private copy of its bytes. `parse` checks that
//! the counts fit the size; what the tables say is validate.zig's business.

const std = @import("std");
const abi = @import("../abi.zig");

pub const Error = error{InvalidProgram};

pub const Blob = struct {
    regions: []const abi.Region,
    strides: []const i64,
    slots: []const abi.Slot,
    syms: []const abi.Sym,
    dims: []const abi.Dim,
    operands: []const u32,
    attrs: []const u32,
    instrs: []const abi.Instr,
    feedbacks: []const abi.Feedback,

    // The numbers in a slot are enums once `validate` has let them pass.

    pub fn dtype(_: *const Blob, slot: abi.Slot) abi.DType {
        return @enumFromInt(slot.dtype);
    }

    pub fn layout(_: *const Blob, slot: abi.Slot) abi.Layout {
        return @enumFromInt(slot.layout);
    }

    pub fn regionKind(blob: *const Blob, slot: abi.Slot) abi.RegionKind {
        return @enumFromInt(blob.regions[slot.region].kind);
    }

    pub fn slotDims(blob: *const Blob, slot: abi.Slot) []const abi.Dim {
        return blob.dims[slot.dims..][0..slot.rank];
    }

    pub fn slotStrides(blob: *const Blob, slot: abi.Slot) []const i64 {
        return blob.strides[slot.strides..][0..slot.rank];
    }

    pub fn instrOperands(blob: *const Blob, instr: abi.Instr) []const u32 {
        const count = @as(usize, instr.input_count) + instr.output_count;
        return blob.operands[instr.operands..][0..count];
    }

    /// The largest extent of a dim over all runs.
    pub fn extentMax(blob: *const Blob, dim: abi.Dim) u64 {
        if (dim.sym == abi.no_sym) return dim.add;
        return @intCast(@max(0, extentOf(dim, blob.syms[dim.sym].max)));
    }

    /// The extent in a run with these symbols.
    pub fn extentAt(_: *const Blob, dim: abi.Dim, syms: []align(1) const u32) u32 {
        if (dim.sym == abi.no_sym) return dim.add;
        return @intCast(extentOf(dim, syms[dim.sym]));
    }
};

/// A symbolic extent for a value of its symbol; below 0 only before it is checked.
pub fn extentOf(dim: abi.Dim, sym: u32) i64 {
    return @as(i64, dim.mul) * sym + constantOf(dim);
}

/// What is added to a symbol's multiple, or the whole extent.
pub fn constantOf(dim: abi.Dim) i64 {
    return if (dim.sym == abi.no_sym) dim.add else @as(i32, @bitCast(dim.add));
}

/// `bytes` must outlive the result and be aligned to 8.
pub fn parse(bytes: []align(8) const u8, abi_hash: u32) Error!Blob {
    if (bytes.len < @sizeOf(abi.Header)) return error.InvalidProgram;
    const header = std.mem.bytesToValue(abi.Header, bytes[0..@sizeOf(abi.Header)]);
    if (header.magic != abi.blob_magic or header.abi_hash != abi_hash) return error.InvalidProgram;
    var reader: Reader = .{ .bytes = bytes, .at = @sizeOf(abi.Header) };
    const blob: Blob = .{
        .regions = try reader.take(abi.Region, header.region_count),
        .strides = try reader.take(i64, header.stride_count),
        .slots = try reader.take(abi.Slot, header.slot_count),
        .syms = try reader.take(abi.Sym, header.sym_count),
        .dims = try reader.take(abi.Dim, header.dim_count),
        .operands = try reader.take(u32, header.operand_count),
        .attrs = try reader.take(u32, header.attr_count),
        .instrs = try reader.take(abi.Instr, header.instr_count),
        .feedbacks = try reader.take(abi.Feedback, header.feedback_count),
    };
    if (reader.at != bytes.len) return error.InvalidProgram;
    return blob;
}

const Reader = struct {
    bytes: []align(8) const u8,
    at: usize,

    fn take(reader: *Reader, comptime T: type, count: u32) Error![]const T {
        const size = @as(u64, count) * @sizeOf(T);
        if (size > reader.bytes.len - reader.at) return error.InvalidProgram;
        std.debug.assert(reader.at % @alignOf(T) == 0);
        const start: [*]const T = @ptrCast(@alignCast(reader.bytes.ptr + reader.at));
        reader.at += @intCast(size);
        return start[0..count];
    }
};
