//! The regions of a run: which memory each of the program's stands for. What is bound must be as
//! large as the run may touch, and apart from all else where it is written.

const std = @import("std");
const abi = @import("../abi.zig");
const engine = @import("../memory/engine.zig");
const files = @import("../memory/files.zig");
const programs = @import("program.zig");
const reach = @import("reach.zig");
const regions = @import("../memory/regions.zig");

const gpa = engine.gpa;

pub const Error = error{ InvalidArgument, InvalidHandle, OutOfMemory } || files.Error;

/// What a run works on, by region of the program, and what it holds of the caller's.
pub const Bases = struct {
    bases: [][]u8,
    held: []u32,
    arena: []*regions.Region,
    inputs: []*regions.Region,
};

/// What the caller binds, and the run's symbols.
pub const Given = struct {
    bindings: []align(1) const abi.RegionBinding,
    syms: []align(1) const u32,
};

/// Finds and holds every region. One that is smaller than it could become will do where this run's
/// sizes touch no more of it.
pub fn bind(program: *const programs.Program, given: Given, to: Bases) Error!void {
    var arena_count: usize = 0;
    var input_count: usize = 0;
    regions.table.mutex.lock();
    defer regions.table.mutex.unlock();
    for (program.blob.regions, given.bindings, 0..) |region, binding, index| {
        switch (@as(abi.RegionKind, @enumFromInt(region.kind))) {
            .arena => {
                to.bases[index] = to.arena[arena_count].memory;
                arena_count += 1;
            },
            .input => {
                to.bases[index] = to.inputs[input_count].memory;
                input_count += 1;
            },
            .constant, .state, .output => |kind| {
                const bound = try regions.table.holdLocked(binding.handle);
                to.held[index] = binding.handle;
                if (bound.kind == .file) {
                    if (kind != .constant) return error.InvalidArgument;
                    try bound.kind.file.check();
                }
                const size = bound.memory.len;
                if (binding.offset > size) return error.InvalidArgument;
                const left = bound.memory[@intCast(binding.offset)..];
                to.bases[index] = left[0..@intCast(@min(region.size_at_max, left.len))];
                if (@intFromPtr(to.bases[index].ptr) % region.alignment != 0) {
                    return error.InvalidArgument;
                }
            },
        }
    }
    if (isWhole(program, to.bases) and try areApart(program, to.bases)) return;
    // Perhaps what this run touches fits.
    try narrow(program, given.syms, to.bases);
    if (!try areApart(program, to.bases)) return error.InvalidArgument;
}

/// Whether what is bound is as large as it can become.
fn isWhole(program: *const programs.Program, bases: []const []u8) bool {
    for (program.blob.regions, bases) |region, base| {
        if (base.len < region.size_at_max) return false;
    }
    return true;
}

/// Cuts what is bound down to what a run with these symbols touches.
fn narrow(
    program: *const programs.Program,
    syms: []align(1) const u32,
    bases: [][]u8,
) Error!void {
    const blob = &program.blob;
    const reaches = try gpa.alloc(u64, blob.regions.len);
    defer gpa.free(reaches);
    reach.ofRegions(blob, syms, reaches);
    for (blob.regions, reaches, bases) |region, size, *base| {
        switch (@as(abi.RegionKind, @enumFromInt(region.kind))) {
            .arena, .input => {},
            .constant, .state, .output => {
                if (size > base.len) return error.InvalidArgument;
                base.* = base.*[0..@intCast(size)];
            },
        }
    }
}

/// Whether no two regions share memory but where neither is written.
fn areApart(program: *const programs.Program, bases: []const []u8) Error!bool {
    if (bases.len > pairs_max) return areApartSorted(program, bases);
    const constant = @intFromEnum(abi.RegionKind.constant);
    for (program.blob.regions, bases, 0..) |a, a_base, index| {
        for (program.blob.regions[0..index], bases[0..index]) |b, b_base| {
            if (a.kind == constant and b.kind == constant) continue;
            if (a_base.len == 0 or b_base.len == 0) continue;
            const a_start = @intFromPtr(a_base.ptr);
            const b_start = @intFromPtr(b_base.ptr);
            if (a_start < b_start + b_base.len and b_start < a_start + a_base.len) return false;
        }
    }
    return true;
}

/// Up to so many regions it is quicker to compare each with each.
const pairs_max = 12;

/// Sorted by where they begin, each is compared with what begins before it.
fn areApartSorted(program: *const programs.Program, bases: []const []u8) Error!bool {
    const order = try gpa.alloc(u32, bases.len);
    defer gpa.free(order);
    for (order, 0..) |*index, number| index.* = @intCast(number);
    std.mem.sortUnstable(u32, order, bases, beginsBefore);
    const constant = @intFromEnum(abi.RegionKind.constant);
    // Where what was seen so far ends: all of it, and what is written.
    var end: usize = 0;
    var written_end: usize = 0;
    for (order) |index| {
        const base = bases[index];
        if (base.len == 0) continue;
        const start = @intFromPtr(base.ptr);
        const is_written = program.blob.regions[index].kind != constant;
        if (start < if (is_written) end else written_end) return false;
        end = @max(end, start + base.len);
        if (is_written) written_end = @max(written_end, start + base.len);
    }
    return true;
}

fn beginsBefore(bases: []const []u8, a: u32, b: u32) bool {
    return @intFromPtr(bases[a].ptr) < @intFromPtr(bases[b].ptr);
}
