//! Measures what the machine can do at best, so that speeds can be told as shares of it: reading
//! memory in one stream a thread, reading and writing so many bytes over and over, int8 dot
//! products and f32 multiply-adds in registers.

const std = @import("std");
const abi = @import("../abi.zig");
const dispatch = @import("../dispatch.zig");
const engine = @import("../memory/engine.zig");
const gpa = engine.gpa;
const os = @import("../threads/os.zig");
const pool_threads = @import("../threads/pool.zig");

pub const Error = error{OutOfMemory};

/// Read by each thread in one pass; far larger than any cache share.
const read_size = 256 << 20;
const iterations = 1 << 16;

const Shared = struct {
    kind: abi.Probe,
    memory: []const u8,
    worker_count: u32,
    amount: std.atomic.Value(u64) = .init(0),
    sink: std.atomic.Value(u64) = .init(0),

    fn pass(raw: *anyopaque, worker: u32, _: []align(64) u8) void {
        const shared: *Shared = @ptrCast(@alignCast(raw));
        switch (shared.kind) {
            .read_bytes_per_second => {
                const size = shared.memory.len / shared.worker_count;
                const start = shared.memory.ptr + size * worker;
                const sum = dispatch.probes().probe_read(start, size);
                _ = shared.sink.fetchXor(sum, .monotonic);
                _ = shared.amount.fetchAdd(size, .monotonic);
            },
            .int8_ops_per_second => {
                const ops = dispatch.probes().probe_int8(iterations);
                _ = shared.amount.fetchAdd(ops, .monotonic);
            },
            .f32_flops_per_second => {
                const flops = dispatch.probes().probe_f32(iterations);
                _ = shared.amount.fetchAdd(flops, .monotonic);
            },
        }
    }
};

/// The best rate of several passes within `seconds`, in bytes or operations a second.
pub fn measure(kind: abi.Probe, threads: u32, seconds: f64) Error!f64 {
    var pool: pool_threads.Pool = .{};
    defer pool.close();
    const wanted = if (threads == 0) os.processorCount() else threads;
    const count = try pool.grow(wanted);
    if (count == 0) return error.OutOfMemory;
    const size: usize = if (kind == .read_bytes_per_second) @as(usize, read_size) * count else 4096;
    const memory = try engine.allocate(.{ .size = size, .tag = .other });
    defer engine.free(memory, .other);
    @memset(memory, 1);

    var best: f64 = 0;
    const limit: u64 = @intFromFloat(std.math.clamp(seconds, 0.001, 60) * std.time.ns_per_s);
    const start = os.now();
    while (true) {
        var shared: Shared = .{ .kind = kind, .memory = memory, .worker_count = count };
        const before = os.now();
        pool.run(.{ .context = &shared, .body = Shared.pass, .worker_count = count });
        const elapsed: f64 = @floatFromInt(@max(1, os.now() - before));
        const amount: f64 = @floatFromInt(shared.amount.load(.monotonic));
        best = @max(best, amount * std.time.ns_per_s / elapsed);
        if (os.now() - start >= limit) return best;
    }
}

/// Bytes that a pass reads and writes; `past_caches` as in kernels/stream.zig.
pub const Traffic = struct { read_size: usize, write_size: usize, past_caches: bool };

const Streams = struct {
    traffic: Traffic,
    source: []const u8,
    target: []align(64) u8,
    worker_count: u32,
    sink: std.atomic.Value(u64) = .init(0),

    fn pass(raw: *anyopaque, worker: u32, _: []align(64) u8) void {
        const streams: *Streams = @ptrCast(@alignCast(raw));
        const count = streams.worker_count;
        const from = streams.source.len / count;
        const to = streams.target.len / count / 64 * 64;
        const sum = dispatch.probes().probe_stream(
            streams.source.ptr + worker * from,
            from,
            streams.target.ptr + worker * to,
            to,
            streams.traffic.past_caches,
        );
        _ = streams.sink.fetchXor(sum, .monotonic);
    }
};

const pass_count_max = 1 << 14;

/// Bytes a second, the median of the passes within `seconds` behind one that does not count: a core
/// that someone else takes for a while slows down few of them.
pub fn measureStreams(traffic: Traffic, threads: u32, seconds: f64) Error!f64 {
    var pool: pool_threads.Pool = .{};
    defer pool.close();
    const count = try pool.grow(if (threads == 0) os.processorCount() else threads);
    if (count == 0) return error.OutOfMemory;
    const size = traffic.read_size + traffic.write_size;
    // Written first, so that no page is shared or missing.
    const source = try gpa.alignedAlloc(u8, .@"64", traffic.read_size);
    defer gpa.free(source);
    const target = try gpa.alignedAlloc(u8, .@"64", traffic.write_size);
    defer gpa.free(target);
    @memset(source, 1);
    @memset(target, 1);
    var streams: Streams = .{
        .traffic = traffic,
        .source = source,
        .target = target,
        .worker_count = count,
    };
    const job: pool_threads.Job = .{
        .context = &streams,
        .body = Streams.pass,
        .worker_count = count,
    };
    const times = try gpa.alloc(u64, pass_count_max);
    defer gpa.free(times);
    pool.run(job);
    const limit: u64 = @intFromFloat(std.math.clamp(seconds, 0.0001, 60) * std.time.ns_per_s);
    const start = os.now();
    var before = start;
    var passes: usize = 0;
    while (passes < times.len and (passes == 0 or before - start < limit)) : (passes += 1) {
        pool.run(job);
        const after = os.now();
        times[passes] = @max(1, after - before);
        before = after;
    }
    std.mem.sort(u64, times[0..passes], {}, std.sort.asc(u64));
    const amount: f64 = @floatFromInt(size);
    return amount * std.time.ns_per_s / @as(f64, @floatFromInt(times[passes / 2]));
}
