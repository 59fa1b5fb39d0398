//! A validated Program: the copied blob, its arena, and time spent by instruction when profiled.

const std = @import("std");
const abi = @import("../abi.zig");
const bind = @import("bind.zig");
const blob_format = @import("blob.zig");
const engine = @import("../memory/engine.zig");
const handles = @import("../memory/handles.zig");
const pieces = @import("pieces.zig");
const Profile = @import("profile.zig").Profile;
const regions = @import("../memory/regions.zig");
const sync = @import("../threads/sync.zig");
const validation = @import("validate.zig");

const gpa = engine.gpa;

pub const Error = error{ InvalidProgram, OutOfMemory };

pub var table: handles.Table(Program) = .{};

pub const Program = struct {
    bytes: []align(8) u8,
    blob: blob_format.Blob,
    /// Sum of the instructions' estimates.
    cost: u64,
    /// A step too small for its barriers is quicker on one worker.
    worth_sharing: bool,
    /// See pieces.zig.
    in_pieces: bool,
    /// Whether each run gets an arena and gives it back: large ones, which the pool hands from one
    /// Program to the next.
    arena_passes: bool,
    /// Made at the first run; steps of different runs take turns and leave nothing in it. Inline
    /// runs, which happen on other threads at the same time, have one of their own.
    arenas: [2]?[]*regions.Region = .{ null, null },
    arena_mutex: sync.Mutex = .{},
    /// What inline runs use one after the other, made at the first.
    prepared: ?*bind.Prepared = null,
    /// Null while nobody has profiled.
    profile: ?*Profile = null,
    profile_on: std.atomic.Value(bool) = .init(false),

    pub const ArenaUse = enum { queued, inline_run };

    pub fn create(bytes: []const u8, abi_hash: u32, report: *validation.Report) Error!*Program {
        const copy = try gpa.alignedAlloc(u8, .@"8", bytes.len);
        errdefer gpa.free(copy);
        @memcpy(copy, bytes);
        const blob = try blob_format.parse(copy, abi_hash);
        const ranges = try gpa.alloc(validation.Range, blob.slots.len);
        defer gpa.free(ranges);
        try validation.validate(gpa, &blob, ranges, report);
        const program = try gpa.create(Program);
        program.* = .{
            .bytes = copy,
            .blob = blob,
            .cost = totalCost(&blob),
            .worth_sharing = worthSharing(&blob),
            .in_pieces = pieces.fits(&blob),
            .arena_passes = arenaPasses(&blob),
        };
        return program;
    }

    pub fn destroy(program: *Program) void {
        for (&program.arenas) |*arenas| {
            if (arenas.*) |list| freeArenas(list);
        }
        if (program.prepared) |prepared| prepared.destroy();
        if (program.profile) |profile| profile.destroy();
        gpa.free(program.bytes);
        gpa.destroy(program);
    }

    /// The memory of the arena regions, in the order of the regions that are arenas: the Program's
    /// own, unless it passes.
    pub fn arena(program: *Program, use: ArenaUse) error{OutOfMemory}![]*regions.Region {
        program.arena_mutex.lock();
        defer program.arena_mutex.unlock();
        const place = &program.arenas[@intFromEnum(use)];
        if (place.*) |list| return list;
        const list = try allocateKind(&program.blob, .arena);
        place.* = list;
        return list;
    }

    /// `event_max` counts when it is turned on for the first time.
    pub fn setProfile(program: *Program, on: bool, event_max: u32) error{OutOfMemory}!void {
        program.arena_mutex.lock();
        defer program.arena_mutex.unlock();
        if (on and program.profile == null) {
            program.profile = try .create(program.blob.instrs.len, event_max);
        }
        program.profile_on.store(on, .release);
    }
};

/// Whether an instruction that is left out, or the first of several steps, could leave something in
/// the arena unwritten that another one reads. Else all that is read there was made by the same
/// step, for each value has the instruction that makes it.
fn readsOldContents(blob: *const blob_format.Blob) bool {
    if (blob.feedbacks.len > 0) return true;
    for (blob.instrs) |instr| if (instr.predicate_slot != abi.no_slot) return true;
    return false;
}

/// One region of memory for each region of a kind, at its largest size.
pub fn allocateKind(
    blob: *const blob_format.Blob,
    kind: abi.RegionKind,
) error{OutOfMemory}![]*regions.Region {
    const tag: engine.Tag = if (kind == .arena) .arena else .input;
    var list: std.ArrayList(*regions.Region) = .empty;
    errdefer {
        for (list.items) |region| region.destroy();
        list.deinit(gpa);
    }
    for (blob.regions) |region| {
        if (region.kind != @intFromEnum(kind)) continue;
        try list.ensureUnusedCapacity(gpa, 1);
        const size: usize = @intCast(@max(64, region.size_at_max));
        list.appendAssumeCapacity(try regions.allocate(.{
            .size = size,
            .tag = tag,
            // Inputs are copied in whole.
            .zeroed = kind == .arena and readsOldContents(blob),
        }));
    }
    return list.toOwnedSlice(gpa);
}

pub fn freeArenas(list: []*regions.Region) void {
    for (list) |region| region.destroy();
    gpa.free(list);
}

fn arenaPasses(blob: *const blob_format.Blob) bool {
    if (readsOldContents(blob)) return false;
    for (blob.regions) |region| {
        if (region.kind == @intFromEnum(abi.RegionKind.arena) and
            region.size_at_max >= abi.passing_arena_min) return true;
    }
    return false;
}

/// Shared work, in units of 1000 operations, that pays for one barrier: about 8 microseconds of one
/// worker's time, where a barrier takes 1 to 4.
const cost_of_barrier = 400;

fn worthSharing(blob: *const blob_format.Blob) bool {
    var shared: u64 = 0;
    var barriers: u64 = 0;
    for (blob.instrs) |instr| {
        if (instr.flags & @intFromEnum(abi.InstrFlag.serial) == 0) shared += instr.cost;
        if (instr.flags & @intFromEnum(abi.InstrFlag.barrier_before) != 0) barriers += 1;
    }
    return shared > barriers * cost_of_barrier;
}

fn totalCost(blob: *const blob_format.Blob) u64 {
    var sum: u64 = 0;
    for (blob.instrs) |instr| sum += instr.cost;
    return sum;
}
