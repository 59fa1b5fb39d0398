//! Makes a run of a Program and its arguments: binds every region, copies the inputs, and resolves
//! every operand to an address and extents, once for all steps.

const std = @import("std");
const abi = @import("../abi.zig");
const bind_regions = @import("bind_regions.zig");
const engine = @import("../memory/engine.zig");
const programs = @import("program.zig");
const Reading = @import("reading.zig").Reading;
const regions = @import("../memory/regions.zig");
const task = @import("../kernels/task.zig");

const gpa = engine.gpa;

pub const Error = bind_regions.Error;

const input_alignment = 64;

/// What one run holds while it lives.
pub const Bound = struct {
    program_handle: u32,
    program: *programs.Program,
    steps: u32,
    thread_count: u32,
    /// Handles held for the run's life, by region; 0 for arenas and inputs.
    held: []u32,
    inputs: []*regions.Region,
    /// Of this run alone, where the Program's arena passes from run to run.
    arena: []*regions.Region,
    /// Operands of all instructions, in the order of the operand table.
    views: []task.View,
    /// By instruction: the address of its predicate, or null.
    predicates: []?*const i32,
    feedbacks: []Copy,
    /// All but the holds are the Program's own `Prepared`.
    lent: bool = false,
    /// What is read before the first step.
    reading: ?Reading = null,

    pub const Copy = struct { from: [*]const u8, to: [*]u8, size: usize };

    pub fn deinit(bound: *Bound) void {
        defer programs.table.drop(bound.program_handle);
        regions.table.dropAll(bound.held);
        if (bound.lent) return;
        gpa.free(bound.held);
        if (bound.reading) |reading| gpa.free(reading.path);
        gpa.free(bound.feedbacks);
        gpa.free(bound.predicates);
        gpa.free(bound.views);
        programs.freeArenas(bound.arena);
        programs.freeArenas(bound.inputs);
    }
};

/// What a Program's inline runs use, one at a time: one that runs often binds its regions and
/// writes addresses, and allocates nothing.
pub const Prepared = struct {
    held: []u32,
    inputs: []*regions.Region,
    bases: [][]u8,
    views: []task.View,
    predicates: []?*const i32,
    /// Whether the views are right but for where they lie: extents that do not change from run to
    /// run are resolved once.
    resolved: bool = false,

    fn create(program: *const programs.Program) error{OutOfMemory}!*Prepared {
        const blob = &program.blob;
        const prepared = try gpa.create(Prepared);
        errdefer gpa.destroy(prepared);
        const held = try gpa.alloc(u32, blob.regions.len);
        errdefer gpa.free(held);
        @memset(held, 0);
        const bases = try gpa.alloc([]u8, blob.regions.len);
        errdefer gpa.free(bases);
        const views = try gpa.alloc(task.View, blob.operands.len);
        errdefer gpa.free(views);
        const predicates = try gpa.alloc(?*const i32, blob.instrs.len);
        errdefer gpa.free(predicates);
        prepared.* = .{
            .held = held,
            .inputs = try programs.allocateKind(blob, .input),
            .bases = bases,
            .views = views,
            .predicates = predicates,
        };
        return prepared;
    }

    pub fn destroy(prepared: *Prepared) void {
        programs.freeArenas(prepared.inputs);
        gpa.free(prepared.predicates);
        gpa.free(prepared.views);
        gpa.free(prepared.bases);
        gpa.free(prepared.held);
        gpa.destroy(prepared);
    }
};

/// `args` holds an `abi.RunArgs` and what follows it; nothing of it is kept.
pub fn bind(
    program_handle: u32,
    args: []const u8,
    use: programs.Program.ArenaUse,
) Error!Bound {
    const program = try programs.table.hold(program_handle);
    errdefer programs.table.drop(program_handle);
    const parts = try Parts.parse(program, args);
    // An event loop does not wait for a disk.
    if (use == .inline_run and parts.reading.len > 0) return error.InvalidArgument;
    const repeats = program.blob.feedbacks.len == 0 and !program.arena_passes;
    if (use == .inline_run and repeats) return bindPrepared(program_handle, program, parts);
    const held = try gpa.alloc(u32, program.blob.regions.len);
    @memset(held, 0);
    errdefer {
        regions.table.dropAll(held);
        gpa.free(held);
    }
    const inputs = try programs.allocateKind(&program.blob, .input);
    errdefer programs.freeArenas(inputs);
    parts.copyInputs(program, inputs);

    const bases = try gpa.alloc([]u8, program.blob.regions.len);
    defer gpa.free(bases);
    const own_arena: []*regions.Region = if (program.arena_passes)
        try programs.allocateKind(&program.blob, .arena)
    else
        &.{};
    errdefer programs.freeArenas(own_arena);
    const arena = if (program.arena_passes) own_arena else try program.arena(use);
    try bind_regions.bind(program, parts.given(), .{
        .bases = bases,
        .held = held,
        .arena = arena,
        .inputs = inputs,
    });

    const resolver: Resolver = .{ .program = program, .bases = bases, .syms = parts.syms };
    const views = try gpa.alloc(task.View, program.blob.operands.len);
    errdefer gpa.free(views);
    resolver.fillViews(views);
    const predicates = try gpa.alloc(?*const i32, program.blob.instrs.len);
    errdefer gpa.free(predicates);
    resolver.fillPredicates(predicates);
    const feedbacks = try resolver.feedbacks();
    errdefer gpa.free(feedbacks);
    return .{
        .program_handle = program_handle,
        .program = program,
        .steps = parts.header.steps,
        .thread_count = parts.header.thread_count,
        .held = held,
        .inputs = inputs,
        .arena = own_arena,
        .views = views,
        .predicates = predicates,
        .feedbacks = feedbacks,
        .reading = try readingInto(parts, program, bases),
    };
}

/// For the holder of the lock on inline runs.
fn bindPrepared(program_handle: u32, program: *programs.Program, parts: Parts) Error!Bound {
    const prepared = program.prepared orelse try Prepared.create(program);
    program.prepared = prepared;
    const held = prepared.held;
    @memset(held, 0);
    errdefer regions.table.dropAll(held);
    parts.copyInputs(program, prepared.inputs);
    try bind_regions.bind(program, parts.given(), .{
        .bases = prepared.bases,
        .held = held,
        .arena = try program.arena(.inline_run),
        .inputs = prepared.inputs,
    });
    const resolver: Resolver = .{
        .program = program,
        .bases = prepared.bases,
        .syms = parts.syms,
    };
    if (prepared.resolved) resolver.moveViews(prepared.views) else {
        resolver.fillViews(prepared.views);
        prepared.resolved = resolver.isFixed();
    }
    resolver.fillPredicates(prepared.predicates);
    return .{
        .program_handle = program_handle,
        .program = program,
        .steps = parts.header.steps,
        .thread_count = parts.header.thread_count,
        .held = held,
        .inputs = prepared.inputs,
        .arena = &.{},
        .views = prepared.views,
        .predicates = prepared.predicates,
        .feedbacks = &.{},
        .lent = true,
    };
}

/// The arguments, split and checked against the program.
const Parts = struct {
    header: abi.RunArgs,
    bindings: []align(1) const abi.RegionBinding,
    syms: []align(1) const u32,
    inputs: []const u8,
    /// A `FileReading` and its path; empty where nothing is read.
    reading: []const u8,

    fn parse(program: *const programs.Program, args: []const u8) Error!Parts {
        const blob = &program.blob;
        if (args.len < @sizeOf(abi.RunArgs)) return error.InvalidArgument;
        const header = std.mem.bytesToValue(abi.RunArgs, args[0..@sizeOf(abi.RunArgs)]);
        if (header.size != @sizeOf(abi.RunArgs) or header.steps == 0) return error.InvalidArgument;
        if (header.region_count != blob.regions.len) return error.InvalidArgument;
        if (header.sym_count != blob.syms.len) return error.InvalidArgument;
        const binding_start = @sizeOf(abi.RunArgs);
        const sym_start = binding_start + blob.regions.len * @sizeOf(abi.RegionBinding);
        const input_start = sym_start + std.mem.alignForward(usize, blob.syms.len * 4, 8);
        var expected: u64 = input_start;
        for (blob.regions) |region| {
            if (region.kind == @intFromEnum(abi.RegionKind.input)) {
                expected += std.mem.alignForward(u64, region.size_at_max, input_alignment);
            }
        }
        const reading_start = expected;
        if (header.path_size > 0) expected += @sizeOf(abi.FileReading) + header.path_size;
        if (args.len != expected) return error.InvalidArgument;
        const parts: Parts = .{
            .header = header,
            .bindings = std.mem.bytesAsSlice(abi.RegionBinding, args[binding_start..sym_start]),
            .syms = std.mem.bytesAsSlice(u32, args[sym_start..][0 .. blob.syms.len * 4]),
            .inputs = args[input_start..@intCast(reading_start)],
            .reading = args[@intCast(reading_start)..],
        };
        for (blob.syms, parts.syms) |sym, value| {
            if (value < sym.min or value > sym.max) return error.InvalidArgument;
        }
        return parts;
    }

    fn given(parts: Parts) bind_regions.Given {
        return .{ .bindings = parts.bindings, .syms = parts.syms };
    }

    fn copyInputs(parts: Parts, program: *const programs.Program, inputs: []*regions.Region) void {
        var at: usize = 0;
        var index: usize = 0;
        for (program.blob.regions) |region| {
            if (region.kind != @intFromEnum(abi.RegionKind.input)) continue;
            const size: usize = @intCast(region.size_at_max);
            @memcpy(inputs[index].memory[0..size], parts.inputs[at..][0..size]);
            at += std.mem.alignForward(usize, size, input_alignment);
            index += 1;
        }
    }
};

/// Checks that what is read fits the region, which the run writes.
fn readingInto(parts: Parts, program: *const programs.Program, bases: []const []u8) Error!?Reading {
    if (parts.reading.len == 0) return null;
    const head = parts.reading[0..@sizeOf(abi.FileReading)];
    const wanted = std.mem.bytesToValue(abi.FileReading, head);
    if (wanted.region >= bases.len) return error.InvalidArgument;
    switch (@as(abi.RegionKind, @enumFromInt(program.blob.regions[wanted.region].kind))) {
        .state, .output => {},
        .arena, .input, .constant => return error.InvalidArgument,
    }
    const base = bases[wanted.region];
    if (wanted.region_offset > base.len) return error.InvalidArgument;
    if (wanted.size > base.len - wanted.region_offset) return error.InvalidArgument;
    return .{
        .path = try gpa.dupe(u8, parts.reading[head.len..]),
        .target = base[@intCast(wanted.region_offset)..][0..@intCast(wanted.size)],
        .offset = wanted.offset,
        .ahead = .{ .offset = wanted.ahead_offset, .size = wanted.ahead_size },
    };
}

const Resolver = struct {
    program: *const programs.Program,
    bases: []const []u8,
    syms: []align(1) const u32,

    fn fillViews(resolver: Resolver, list: []task.View) void {
        const blob = &resolver.program.blob;
        for (blob.operands, list) |slot, *place| {
            // Operands outside any instruction are never looked at, nor checked.
            place.* = if (slot < blob.slots.len) resolver.view(blob.slots[slot]) else undefined;
        }
    }

    /// Whether another run's views differ in their addresses alone, one an operand.
    fn isFixed(resolver: Resolver) bool {
        const blob = &resolver.program.blob;
        for (blob.slots) |slot| if (slot.row_scale_slot != abi.no_slot) return false;
        return blob.syms.len == 0;
    }

    fn moveViews(resolver: Resolver, list: []task.View) void {
        const blob = &resolver.program.blob;
        for (blob.operands, list) |slot, *place| {
            if (slot < blob.slots.len) place.data = resolver.address(blob.slots[slot]);
        }
    }

    fn view(resolver: Resolver, slot: abi.Slot) task.View {
        const blob = &resolver.program.blob;
        var result: task.View = .{
            .data = resolver.address(slot),
            .row_scale = null,
            .dims = @splat(0),
            .strides = @splat(0),
            .dtype = blob.dtype(slot),
            .layout = blob.layout(slot),
            .rank = slot.rank,
        };
        for (blob.slotDims(slot), 0..) |dim, axis| {
            result.dims[axis] = blob.extentAt(dim, resolver.syms);
        }
        if (blob.layout(slot) == .strided) {
            for (blob.slotStrides(slot), 0..) |stride, axis| result.strides[axis] = stride;
        }
        if (slot.row_scale_slot != abi.no_slot) {
            const scale = resolver.address(blob.slots[slot.row_scale_slot]);
            result.row_scale = @ptrCast(@alignCast(scale));
        }
        return result;
    }

    fn address(resolver: Resolver, slot: abi.Slot) [*]u8 {
        return resolver.bases[slot.region].ptr + @as(usize, @intCast(slot.offset));
    }

    fn fillPredicates(resolver: Resolver, list: []?*const i32) void {
        const blob = &resolver.program.blob;
        for (blob.instrs, list) |instr, *place| {
            place.* = if (instr.predicate_slot == abi.no_slot)
                null
            else
                @ptrCast(@alignCast(resolver.address(blob.slots[instr.predicate_slot])));
        }
    }

    fn feedbacks(resolver: Resolver) error{OutOfMemory}![]Bound.Copy {
        const blob = &resolver.program.blob;
        const list = try gpa.alloc(Bound.Copy, blob.feedbacks.len);
        for (blob.feedbacks, list) |feedback, *copy| {
            const from = resolver.view(blob.slots[feedback.from]);
            const element = @import("layouts.zig").elementSize(from.dtype);
            copy.* = .{
                .from = from.data,
                .to = resolver.address(blob.slots[feedback.to]),
                .size = from.elementCount() * @as(usize, @intCast(element)),
            };
        }
        return list;
    }
};
