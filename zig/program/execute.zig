//! Walks the instruction table, one step after another, on any number of workers at once. The last
//! worker to reach a barrier decides for all whether the walk goes on, so that none waits for one
//! that has left.

const std = @import("std");
const abi = @import("../abi.zig");
const bind = @import("bind.zig");
const dispatch = @import("../dispatch.zig");
const os = @import("../threads/os.zig");
const sync = @import("../threads/sync.zig");
const task = @import("../kernels/task.zig");
const BlockSizes = @import("../kernels/block_sizes.zig").BlockSizes;

const gpa = @import("../memory/engine.zig").gpa;

/// The progress of one run, shared by its workers.
pub const Run = struct {
    bound: bind.Bound,
    block_sizes: BlockSizes = .{},
    cancel: std.atomic.Value(bool) = .init(false),
    /// Read by anyone, written at the end of each step.
    steps_done: std.atomic.Value(u32) = .init(0),
    instr: std.atomic.Value(u32) = .init(0),
    fault: task.Fault = .{},
    stop: u32 = 0,
    committed: bool = false,
    barrier: sync.Barrier = .{},
    /// Set at a barrier, by one worker for all.
    end: End = .none,
    /// Steps still to take before the workers return to the driver.
    quantum: u32 = 0,
    worker_count: u32 = 1,
    /// Of `Task.units`: by worker, then by instruction, so that workers share no cache line. Empty
    /// where one worker runs, or memory was short: then each keeps to its share.
    claims: []u32 = &.{},
    /// Called by one worker after each step.
    on_step: ?*const fn () void = null,

    /// Before steps of so many workers.
    pub fn prepare(run: *Run, worker_count: u32) void {
        run.worker_count = worker_count;
        const instr_count = run.bound.program.blob.instrs.len;
        const wanted = if (worker_count == 1) 0 else instr_count * worker_count;
        if (run.claims.len == wanted) return;
        gpa.free(run.claims);
        run.claims = gpa.alloc(u32, wanted) catch &.{};
        @memset(run.claims, 0);
    }

    /// Gives back all that the run held.
    pub fn deinit(run: *Run) void {
        gpa.free(run.claims);
        run.claims = &.{};
        run.bound.deinit();
    }

    pub const End = enum { none, aborted, failed, finished, pause };
};

pub const Worker = struct {
    index: u32,
    count: u32,
    scratch: []align(64) u8,
};

/// Takes up to `run.quantum` steps; every worker of the run calls it, and returns with the same
/// `run.end`.
pub fn steps(run: *Run, worker: Worker) void {
    if (run.bound.reading) |*reading| if (!reading.is_over) {
        reading.work(worker.index);
        if (worker.count > 1) {
            run.barrier.arrive(worker.count, run, endReading);
        } else endReading(run);
        if (run.end != .none) return;
    };
    while (true) {
        walk(run, worker);
        if (worker.count > 1) {
            run.barrier.arrive(worker.count, run, endStep);
        } else endStep(run);
        if (run.end != .none) return;
    }
}

fn walk(run: *Run, worker: Worker) void {
    const program = run.bound.program;
    const profile = if (worker.index == 0 and program.profile_on.load(.acquire))
        program.profile
    else
        null;
    var time: u64 = if (profile != null) os.now() else 0;
    for (program.blob.instrs, 0..) |instr, index| {
        if (instr.flags & @intFromEnum(abi.InstrFlag.barrier_before) != 0) {
            if (worker.count > 1) {
                run.barrier.arrive(worker.count, run, checkpoint);
            } else checkpoint(run);
            if (run.end != .none) return;
        }
        if (!perform(run, @intCast(index), worker)) continue;
        if (profile) |to| {
            const now = os.now();
            to.add(index, time, now);
            time = now;
        }
    }
}

/// A worker's part of an instruction; false where it has none.
pub fn perform(run: *Run, index: u32, worker: Worker) bool {
    const instr = run.bound.program.blob.instrs[index];
    if (worker.index == 0) run.instr.store(index, .monotonic);
    if (run.bound.predicates[index]) |predicate| if (predicate.* == 0) return false;
    const serial = instr.flags & @intFromEnum(abi.InstrFlag.serial) != 0;
    if (serial and worker.index != 0) return false;
    // What follows bad data would work on what was never made.
    if (@atomicLoad(u32, &run.fault.code, .monotonic) != 0) return false;
    if (worker.index == 0 and instr.flags & @intFromEnum(abi.InstrFlag.commit) != 0) {
        run.committed = true;
    }
    execute(run, index, worker, serial);
    return true;
}

fn execute(run: *Run, index: u32, worker: Worker, serial: bool) void {
    const blob = &run.bound.program.blob;
    const instr = blob.instrs[index];
    const call: task.Task = .{
        .views = run.bound.views[instr.operands..].ptr,
        .input_count = instr.input_count,
        .output_count = instr.output_count,
        .attrs = blob.attrs[instr.attrs..].ptr,
        .worker = if (serial) 0 else worker.index,
        .worker_count = if (serial) 1 else worker.count,
        .scratch = worker.scratch.ptr,
        .scratch_size = worker.scratch.len,
        .step = run.steps_done.load(.monotonic),
        .fault = &run.fault,
        .stop = &run.stop,
        .instr = index,
        .claims = if (serial or run.claims.len == 0) null else run.claims[index..].ptr,
        .claim_stride = blob.instrs.len,
        .block_sizes = &run.block_sizes,
    };
    dispatch.kernel(@enumFromInt(instr.op))(&call);
}

/// Runs alone when all workers have read.
fn endReading(run: *Run) void {
    const reading = &run.bound.reading.?;
    reading.is_over = true;
    run.fault.code = reading.failure.load(.acquire);
    checkpoint(run);
}

/// Runs alone at every barrier.
fn checkpoint(run: *Run) void {
    if (@atomicLoad(u32, &run.fault.code, .acquire) != 0) {
        run.end = .failed;
    } else if (!run.committed and run.cancel.load(.acquire)) {
        run.end = .aborted;
    }
}

/// Runs alone at the end of a step: what the step made becomes the next one's input.
pub fn endStep(run: *Run) void {
    @memset(run.claims, 0);
    // A walk that ended early has said why.
    if (run.end != .none) return;
    if (@atomicLoad(u32, &run.fault.code, .acquire) != 0) {
        run.end = .failed;
        return;
    }
    for (run.bound.feedbacks) |copy| {
        std.mem.copyForwards(u8, copy.to[0..copy.size], copy.from[0..copy.size]);
    }
    run.committed = false;
    run.quantum -= 1;
    const done = run.steps_done.load(.monotonic) + 1;
    run.steps_done.store(done, .release);
    if (run.on_step) |tell| tell();
    if (done == run.bound.steps or @atomicLoad(u32, &run.stop, .acquire) != 0) {
        run.end = .finished;
    } else if (run.cancel.load(.acquire)) {
        run.end = .aborted;
    } else if (run.quantum == 0) {
        run.end = .pause;
    }
}
