//! The workers of the device: threads that live as long as the core is open, sleep between jobs,
//! and run one job together. The caller of `run` is worker 0. Workers that a job does not ask for
//! sleep through it, and one that comes late to a job in pieces has missed it.

const std = @import("std");
const gpa = @import("../memory/engine.zig").gpa;
const os = @import("os.zig");
const sync = @import("sync.zig");

pub const worker_count_max = 64;
/// Private memory of each worker; kernels divide it as they like.
pub const scratch_size = 2 << 20;

pub const Job = struct {
    context: *anyopaque,
    body: *const fn (context: *anyopaque, worker: u32, scratch: []align(64) u8) void,
    worker_count: u32,
    /// Pieces that whoever of the workers is there hands out, `worker` being a piece's number; 0
    /// where each worker has a part of its own and all are waited for.
    piece_count: u32 = 0,
};

pub const Scratch = []align(64) u8;

/// Private memory of one more worker, to be freed by `gpa` where the pool does not.
pub fn allocateScratch() error{OutOfMemory}!Scratch {
    return gpa.alignedAlloc(u8, .@"64", scratch_size);
}

pub const Pool = struct {
    workers: [worker_count_max]Worker = undefined,
    /// Workers there are, the caller included; threads are started when first asked for.
    count: u32 = 0,
    job: Job = undefined,
    done: sync.Barrier = .{},
    pieces_taken: std.atomic.Value(u32) = .init(0),
    /// Raised whenever a worker has left a job in pieces.
    left: sync.Event = .{},
    closing: bool = false,

    const Worker = struct {
        /// Raised once for each job that is this worker's too.
        start: sync.Event align(std.atomic.cache_line) = .{},
        /// Opened for each of those jobs; who finds it closed is too late.
        door: std.atomic.Value(Door) = .init(.closed),
        pool: *Pool,
        index: u32,
        scratch: Scratch,
        thread: os.Thread,
    };

    const Door = enum(u8) { closed, open, entered };

    /// Makes sure of `count` workers and returns how many there are, at most that.
    pub fn grow(pool: *Pool, count: u32) error{OutOfMemory}!u32 {
        while (pool.count < @min(count, worker_count_max)) {
            const scratch = try allocateScratch();
            const worker = &pool.workers[pool.count];
            worker.* = .{
                .pool = pool,
                .index = pool.count,
                .scratch = scratch,
                .thread = undefined,
            };
            if (worker.index > 0) {
                worker.thread = os.Thread.spawn(Worker, worker, loop) catch {
                    gpa.free(scratch);
                    break;
                };
            }
            pool.count += 1;
        }
        return @min(count, pool.count);
    }

    /// Runs the job on its workers and returns when all have finished that have begun.
    pub fn run(pool: *Pool, job: Job) void {
        std.debug.assert(job.worker_count >= 1 and job.worker_count <= pool.count);
        pool.job = job;
        pool.pieces_taken.store(0, .monotonic);
        const others = pool.workers[1..job.worker_count];
        for (others) |*worker| {
            worker.door.store(.open, .release);
            worker.start.signal();
        }
        if (job.piece_count == 0) {
            job.body(job.context, 0, pool.workers[0].scratch);
            if (job.worker_count > 1) pool.done.arrive(job.worker_count, pool, nothing);
            return;
        }
        pool.takePieces(job, pool.workers[0].scratch);
        for (others) |*worker| pool.awaitUnlessLate(worker);
    }

    fn takePieces(pool: *Pool, job: Job, scratch: []align(64) u8) void {
        while (true) {
            const piece = pool.pieces_taken.fetchAdd(1, .monotonic);
            if (piece >= job.piece_count) return;
            job.body(job.context, piece, scratch);
        }
    }

    fn awaitUnlessLate(pool: *Pool, worker: *Worker) void {
        if (worker.door.cmpxchgStrong(.open, .closed, .acq_rel, .acquire) == null) return;
        while (true) {
            const seen = pool.left.current();
            if (worker.door.load(.acquire) == .closed) return;
            _ = pool.left.waitChange(seen, true, null);
        }
    }

    pub fn close(pool: *Pool) void {
        pool.closing = true;
        for (pool.workers[0..pool.count]) |*worker| {
            worker.start.signal();
            if (worker.index > 0) worker.thread.join();
            gpa.free(worker.scratch);
        }
        pool.* = .{};
    }

    fn loop(worker: *Worker) void {
        const pool = worker.pool;
        var seen: u32 = 0;
        while (true) : (seen +%= 1) {
            _ = worker.start.waitChange(seen, true, null);
            if (pool.closing) return;
            if (worker.door.cmpxchgStrong(.open, .entered, .acq_rel, .monotonic) != null) continue;
            const job = pool.job;
            if (job.piece_count > 0) {
                pool.takePieces(job, worker.scratch);
                worker.door.store(.closed, .release);
                pool.left.signal();
                continue;
            }
            job.body(job.context, worker.index, worker.scratch);
            worker.door.store(.closed, .release);
            pool.done.arrive(job.worker_count, pool, nothing);
        }
    }

    fn nothing(_: *Pool) void {}
};

test "pool: every worker of a job runs once, and none of the others" {
    const Shared = struct {
        hits: [8]std.atomic.Value(u32) = @splat(.init(0)),

        fn body(raw: *anyopaque, worker: u32, scratch: []align(64) u8) void {
            const shared: *@This() = @ptrCast(@alignCast(raw));
            scratch[0] = @intCast(worker);
            _ = shared.hits[worker].fetchAdd(1, .monotonic);
        }
    };
    var pool: Pool = .{};
    defer pool.close();
    var shared: Shared = .{};
    for ([_]u32{ 1, 2, 3, 8, 2, 1 }) |count| {
        const ready = try pool.grow(count);
        for (0..200) |_| {
            pool.run(.{ .context = &shared, .body = Shared.body, .worker_count = ready });
        }
    }
    try std.testing.expectEqual(@as(u32, 1200), shared.hits[0].load(.monotonic));
    try std.testing.expectEqual(@as(u32, 800), shared.hits[1].load(.monotonic));
    try std.testing.expectEqual(@as(u32, 200), shared.hits[7].load(.monotonic));
}

test "pool: every piece is done once, whichever workers come, between jobs of the other kind" {
    const Shared = struct {
        hits: [32]std.atomic.Value(u32) = @splat(.init(0)),
        wholes: std.atomic.Value(u32) = .init(0),

        fn piece(raw: *anyopaque, index: u32, _: []align(64) u8) void {
            const shared: *@This() = @ptrCast(@alignCast(raw));
            _ = shared.hits[index].fetchAdd(1, .monotonic);
        }

        fn whole(raw: *anyopaque, _: u32, _: []align(64) u8) void {
            const shared: *@This() = @ptrCast(@alignCast(raw));
            _ = shared.wholes.fetchAdd(1, .monotonic);
        }
    };
    var pool: Pool = .{};
    defer pool.close();
    const ready = try pool.grow(4);
    var wholes: u32 = 0;
    for (0..2000) |round| {
        // Only this job's: a worker of the last one would write to memory that is another's.
        var shared: Shared = .{};
        const count: u32 = @intCast(1 + round % 32);
        pool.run(.{
            .context = &shared,
            .body = Shared.piece,
            .worker_count = ready,
            .piece_count = count,
        });
        for (&shared.hits, 0..) |*hits, index| {
            try std.testing.expectEqual(@intFromBool(index < count), hits.load(.monotonic));
        }
        if (round % 5 == 0) {
            pool.run(.{ .context = &shared, .body = Shared.whole, .worker_count = ready });
            wholes += shared.wholes.load(.monotonic);
        }
    }
    try std.testing.expectEqual(400 * ready, wholes);
}
