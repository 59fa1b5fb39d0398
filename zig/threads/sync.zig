//! Waiting between threads, over the address waits of os.zig: a mutex, an event counter, a barrier.

const std = @import("std");
const os = @import("os.zig");

const Word = std.atomic.Value(u32);

/// Spins this long before it sleeps: longer than the gap between two instructions of a Program,
/// shorter than a time slice that someone else could use.
const spin_ns = 30_000;

/// 0 free, 1 held, 2 held and someone waits.
pub const Mutex = struct {
    state: Word = .init(0),

    pub fn tryLock(mutex: *Mutex) bool {
        return mutex.state.cmpxchgStrong(0, 1, .acquire, .monotonic) == null;
    }

    pub fn lock(mutex: *Mutex) void {
        if (mutex.tryLock()) return;
        while (mutex.state.swap(2, .acquire) != 0) os.wait(&mutex.state, 2, null);
    }

    pub fn unlock(mutex: *Mutex) void {
        if (mutex.state.swap(0, .release) == 2) os.wakeAll(&mutex.state);
    }
};

/// A counter that one side raises and others wait to see changed. Signals are never lost: read
/// `current`, check the condition, then `waitChange(seen)`.
pub const Event = struct {
    count: Word = .init(0),
    sleepers: Word = .init(0),

    pub fn current(event: *const Event) u32 {
        return event.count.load(.acquire);
    }

    pub fn signal(event: *Event) void {
        _ = event.count.fetchAdd(1, .seq_cst);
        if (event.sleepers.load(.seq_cst) != 0) os.wakeAll(&event.count);
    }

    /// Returns once the counter differs from `seen`; false when the time ran out first.
    pub fn waitChange(event: *Event, seen: u32, spin: bool, timeout_ns: ?u64) bool {
        if (spin and spinUntilChange(&event.count, seen)) return true;
        _ = event.sleepers.fetchAdd(1, .seq_cst);
        defer _ = event.sleepers.fetchSub(1, .seq_cst);
        const deadline = if (timeout_ns) |ns| os.now() + ns else null;
        while (event.count.load(.seq_cst) == seen) {
            var left: ?u64 = null;
            if (deadline) |at| {
                const time = os.now();
                if (time >= at) return false;
                left = at - time;
            }
            os.wait(&event.count, seen, left);
        }
        return true;
    }
};

/// All of `total` threads wait for the last one. The last runs `last(context)` alone before it lets
/// the others go, so what it writes they all see.
pub const Barrier = struct {
    arrived: Word = .init(0),
    phase: Event = .{},

    pub fn arrive(
        barrier: *Barrier,
        total: u32,
        context: anytype,
        comptime last: fn (@TypeOf(context)) void,
    ) void {
        const seen = barrier.phase.current();
        if (barrier.arrived.fetchAdd(1, .acq_rel) + 1 == total) {
            last(context);
            barrier.arrived.store(0, .monotonic);
            barrier.phase.signal();
        } else {
            _ = barrier.phase.waitChange(seen, true, null);
        }
    }
};

fn spinUntilChange(word: *const Word, seen: u32) bool {
    var start: u64 = 0;
    while (true) {
        for (0..64) |_| {
            if (word.load(.acquire) != seen) return true;
            std.atomic.spinLoopHint();
        }
        const time = os.now();
        if (start == 0) start = time;
        if (time - start > spin_ns) return false;
    }
}

test "mutex: increments from several threads are all counted" {
    const Shared = struct {
        mutex: Mutex = .{},
        count: u32 = 0,

        fn work(shared: *@This()) void {
            for (0..10_000) |_| {
                shared.mutex.lock();
                shared.count += 1;
                shared.mutex.unlock();
            }
        }
    };
    var shared: Shared = .{};
    var threads: [4]os.Thread = undefined;
    for (&threads) |*thread| thread.* = try os.Thread.spawn(Shared, &shared, Shared.work);
    for (threads) |thread| thread.join();
    try std.testing.expectEqual(@as(u32, 40_000), shared.count);
}

test "barrier: no thread enters a phase before all have left the one before" {
    const Shared = struct {
        barrier: Barrier = .{},
        phase: u32 = 0,
        wrong: std.atomic.Value(u32) = .init(0),
        const total = 3;

        fn next(shared: *@This()) void {
            shared.phase += 1;
        }

        fn work(shared: *@This()) void {
            for (0..2_000) |index| {
                shared.barrier.arrive(total, shared, next);
                if (shared.phase != index + 1) _ = shared.wrong.fetchAdd(1, .monotonic);
                shared.barrier.arrive(total, shared, hold);
            }
        }

        fn hold(_: *@This()) void {}
    };
    var shared: Shared = .{};
    var threads: [Shared.total]os.Thread = undefined;
    for (&threads) |*thread| thread.* = try os.Thread.spawn(Shared, &shared, Shared.work);
    for (threads) |thread| thread.join();
    try std.testing.expectEqual(@as(u32, 0), shared.wrong.load(.monotonic));
}
