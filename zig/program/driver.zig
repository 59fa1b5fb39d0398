//! The device's driver: one native thread that takes the steps of all submitted runs, in turns,
//! with the pool's workers, and tells JavaScript that something happened.

const std = @import("std");
const abi = @import("../abi.zig");
const BlockSizes = @import("../kernels/block_sizes.zig").BlockSizes;
const bind = @import("bind.zig");
const engine = @import("../memory/engine.zig");
const execute = @import("execute.zig");
const handles = @import("../memory/handles.zig");
const os = @import("../threads/os.zig");
const pieces = @import("pieces.zig");
const pool_threads = @import("../threads/pool.zig");
const regions = @import("../memory/regions.zig");
const sync = @import("../threads/sync.zig");

const gpa = engine.gpa;

/// Steps a run takes before the next run has its turn.
const quantum_steps = 8;
/// `bn_run_now` refuses more: it would hold up the caller's event loop for over a millisecond.
const inline_cost_max = 4000;

pub const Error = bind.Error || error{ TooCostly, Unsupported };

/// A submitted run, as its handle sees it.
pub const Ticket = struct {
    run: execute.Run,
    handle: u32 = 0,
    state: std.atomic.Value(abi.RunState) = .init(.queued),
    changed: sync.Event = .{},
    next: ?*Ticket = null,

    /// What the run held was given back when it ended.
    pub fn destroy(ticket: *Ticket) void {
        gpa.destroy(ticket);
    }

    fn discard(ticket: *Ticket) void {
        ticket.run.deinit();
        ticket.destroy();
    }

    pub fn status(ticket: *Ticket) abi.RunStatus {
        const state = ticket.state.load(.acquire);
        const failed = state == .failed;
        return .{
            .state = state,
            .steps_done = ticket.run.steps_done.load(.acquire),
            .instr = if (failed) ticket.run.fault.instr else ticket.run.instr.load(.monotonic),
            .fault = if (failed) @enumFromInt(ticket.run.fault.code) else .none,
            .fault_detail = if (failed) ticket.run.fault.detail else 0,
        };
    }

    pub fn ended(ticket: *const Ticket) bool {
        return switch (ticket.state.load(.acquire)) {
            .queued, .running => false,
            .done, .aborted, .failed => true,
        };
    }
};

pub var tickets: handles.Table(Ticket) = .{};

var pool: pool_threads.Pool = .{};
/// Held by whom the pool works for: the driver while a run takes its steps, or a short job.
var pool_mutex: sync.Mutex = .{};
/// 0 until the core is opened.
var default_thread_count: u32 = 0;
var block_sizes: BlockSizes = .{};

var mutex: sync.Mutex = .{};
var wake: sync.Event = .{};
var thread: ?os.Thread = null;
var closing = false;
var first: ?*Ticket = null;
var last: ?*Ticket = null;
/// The run whose steps the driver is taking: in no queue meanwhile.
var current: ?*Ticket = null;

var notify_mutex: sync.Mutex = .{};
var notify_callback: ?*const fn () callconv(.c) void = null;
var notify_outstanding: std.atomic.Value(bool) = .init(false);

var inline_mutex: sync.Mutex = .{};
var inline_scratch: ?pool_threads.Scratch = null;

/// Of runs from now on.
pub fn setBlockSizes(sizes: BlockSizes) void {
    inline for (@typeInfo(BlockSizes).@"struct".fields) |field| {
        @atomicStore(u32, &@field(block_sizes, field.name), @field(sizes, field.name), .monotonic);
    }
}

fn blockSizes() BlockSizes {
    var sizes: BlockSizes = undefined;
    inline for (@typeInfo(BlockSizes).@"struct".fields) |field| {
        @field(sizes, field.name) = @atomicLoad(u32, &@field(block_sizes, field.name), .monotonic);
    }
    return sizes;
}

pub fn setDefaultThreads(count: u32) void {
    default_thread_count = @max(1, @min(count, pool_threads.worker_count_max));
}

pub fn defaultThreads() u32 {
    return default_thread_count;
}

/// Workers that a short job of the caller's gets, itself included; `returnPool` after it. Null
/// while the pool works for someone else: the caller does the job alone.
pub fn borrowPool(wanted: u32) ?struct { pool: *pool_threads.Pool, worker_count: u32 } {
    if (!pool_mutex.tryLock()) return null;
    const count = pool.grow(if (wanted == 0) @max(1, default_thread_count) else wanted) catch 0;
    if (count > 1) return .{ .pool = &pool, .worker_count = count };
    pool_mutex.unlock();
    return null;
}

pub fn returnPool() void {
    pool_mutex.unlock();
}

/// Runs on the caller's thread, alone, and returns when all steps are done.
pub fn runNow(program: u32, args: []const u8, status: *abi.RunStatus) Error!void {
    inline_mutex.lock();
    defer inline_mutex.unlock();
    if (inline_scratch == null) {
        inline_scratch = try pool_threads.allocateScratch();
    }
    var ticket: Ticket = .{ .run = .{
        .bound = try bind.bind(program, args, .inline_run),
        .block_sizes = blockSizes(),
    } };
    const run = &ticket.run;
    defer run.deinit();
    const cost = @max(1, run.bound.program.cost) *| run.bound.steps;
    if (cost > inline_cost_max) return error.TooCostly;
    run.quantum = run.bound.steps;
    execute.steps(run, .{ .index = 0, .count = 1, .scratch = inline_scratch.? });
    settle(&ticket);
    status.* = ticket.status();
}

/// Runs on the caller's thread with the workers of the pool, once no other run takes a step, and
/// returns when all steps are done: no thread has to be woken to begin, none to hear of the end.
pub fn runHere(program: u32, args: []const u8, status: *abi.RunStatus) Error!void {
    var ticket: Ticket = .{ .run = .{
        .bound = try bind.bind(program, args, .queued),
        .block_sizes = blockSizes(),
    } };
    defer ticket.run.deinit();
    ticket.run.quantum = ticket.run.bound.steps;
    takeSteps(&ticket, if (fitsPieces(&ticket.run.bound)) .in_pieces else .whole);
    settle(&ticket);
    status.* = ticket.status();
}

/// Queues a run; the handle stays valid until its release, whatever becomes of the run.
pub fn submit(program: u32, args: []const u8) Error!u32 {
    const ticket = try prepare(program, args);
    errdefer ticket.discard();
    mutex.lock();
    defer mutex.unlock();
    if (closing) return error.Unsupported;
    if (thread == null) {
        thread = os.Thread.spawn(Context, &context, drive) catch return error.OutOfMemory;
    }
    const handle = try tickets.add(gpa, ticket);
    ticket.handle = handle;
    // The driver's own hold, until the run has ended.
    _ = tickets.hold(handle) catch unreachable;
    append(ticket);
    wake.signal();
    return handle;
}

fn prepare(program: u32, args: []const u8) Error!*Ticket {
    var bound = try bind.bind(program, args, .queued);
    errdefer bound.deinit();
    const ticket = try gpa.create(Ticket);
    ticket.* = .{ .run = .{ .bound = bound, .block_sizes = blockSizes() } };
    return ticket;
}

pub fn cancel(handle: u32) handles.Error!void {
    const ticket = try tickets.hold(handle);
    defer tickets.drop(handle);
    ticket.run.cancel.store(true, .release);
    wake.signal();
}

/// Cancels a run that is under way and gives the handle up.
pub fn release(handle: u32) handles.Error!void {
    try cancel(handle);
    try tickets.release(handle);
}

/// Blocks the calling thread until the run has ended; false when the time ran out first.
pub fn wait(handle: u32, timeout_ns: u64) handles.Error!bool {
    const ticket = try tickets.hold(handle);
    defer tickets.drop(handle);
    const deadline = os.now() +| timeout_ns;
    while (true) {
        const seen = ticket.changed.current();
        if (ticket.ended()) return true;
        const time = os.now();
        if (time >= deadline) return false;
        _ = ticket.changed.waitChange(seen, false, deadline - time);
    }
}

/// From now on `callback` is called, from the driver's thread, after each step and at each end;
/// once, until `acknowledge`. Null ends that, and no call is under way when this returns.
pub fn setNotify(callback: ?*const fn () callconv(.c) void) void {
    notify_mutex.lock();
    defer notify_mutex.unlock();
    notify_callback = callback;
    notify_outstanding.store(false, .release);
}

pub fn acknowledge() void {
    notify_outstanding.store(false, .seq_cst);
}

/// Cancels all runs, waits for them, and ends every thread. The core can be used again after.
pub fn close() void {
    setNotify(null);
    mutex.lock();
    closing = true;
    var at = first;
    while (at) |ticket| : (at = ticket.next) ticket.run.cancel.store(true, .release);
    if (current) |ticket| ticket.run.cancel.store(true, .release);
    const driver = thread;
    mutex.unlock();
    wake.signal();
    if (driver) |running| running.join();
    pool_mutex.lock();
    pool.close();
    pool_mutex.unlock();
    mutex.lock();
    thread = null;
    closing = false;
    mutex.unlock();
}

const Context = struct {};
var context: Context = .{};

fn drive(_: *Context) void {
    while (true) {
        const seen = wake.current();
        const ticket = takeNext() orelse {
            if (isClosing()) return;
            _ = wake.waitChange(seen, true, null);
            continue;
        };
        ticket.state.store(.running, .release);
        const run = &ticket.run;
        run.end = .none;
        run.quantum = quantum_steps;
        run.on_step = notify;
        if (run.cancel.load(.acquire)) {
            run.end = .aborted;
        } else {
            takeSteps(ticket, .whole);
        }
        if (run.end == .pause) {
            mutex.lock();
            append(ticket);
            current = null;
            mutex.unlock();
            notify();
            continue;
        }
        mutex.lock();
        current = null;
        mutex.unlock();
        // Before anyone can see the end, so that what the run held is free when it is seen.
        run.deinit();
        settle(ticket);
        notify();
        ticket.changed.signal();
        tickets.drop(ticket.handle);
    }
}

/// Whether the run is one step that can be cut into pieces.
fn fitsPieces(bound: *const bind.Bound) bool {
    const program = bound.program;
    return program.in_pieces and program.worth_sharing and bound.steps == 1 and
        bound.thread_count == 0 and bound.reading == null and
        !program.profile_on.load(.acquire);
}

fn takeSteps(ticket: *Ticket, manner: enum { whole, in_pieces }) void {
    pool_mutex.lock();
    defer pool_mutex.unlock();
    const asked = ticket.run.bound.thread_count;
    const fitting = if (ticket.run.bound.program.worth_sharing) default_thread_count else 1;
    const wanted = if (asked == 0) @max(1, fitting) else asked;
    const ready = pool.grow(wanted) catch 0;
    if (ready == 0) {
        ticket.run.end = .failed;
        return;
    }
    if (manner == .in_pieces) return pieces.step(&ticket.run, &pool, ready);
    ticket.run.prepare(ready);
    pool.run(.{ .context = ticket, .body = work, .worker_count = ticket.run.worker_count });
}

fn work(raw: *anyopaque, worker: u32, scratch: []align(64) u8) void {
    const ticket: *Ticket = @ptrCast(@alignCast(raw));
    execute.steps(&ticket.run, .{
        .index = worker,
        .count = ticket.run.worker_count,
        .scratch = scratch,
    });
}

fn settle(ticket: *Ticket) void {
    ticket.state.store(switch (ticket.run.end) {
        .finished => .done,
        .aborted => .aborted,
        .failed, .none, .pause => .failed,
    }, .release);
}

/// After every step and every end, so that a token is seen as soon as it is there.
fn notify() void {
    if (notify_outstanding.swap(true, .seq_cst)) return;
    notify_mutex.lock();
    defer notify_mutex.unlock();
    if (notify_callback) |callback| callback() else notify_outstanding.store(false, .release);
}

fn takeNext() ?*Ticket {
    mutex.lock();
    defer mutex.unlock();
    const ticket = first orelse return null;
    first = ticket.next;
    if (first == null) last = null;
    ticket.next = null;
    current = ticket;
    return ticket;
}

fn append(ticket: *Ticket) void {
    if (last) |tail| tail.next = ticket else first = ticket;
    last = ticket;
}

fn isClosing() bool {
    mutex.lock();
    defer mutex.unlock();
    return closing;
}
