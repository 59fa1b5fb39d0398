//! A step of a Program that only streams through memory, from one barrier to the next: each part is
//! cut into more pieces than there are workers, which take one after the other. A worker that is
//! held up, or still asleep, takes fewer or none, and nobody waits for it. No bit of a result
//! depends on that, as it depends on no number of workers.

const abi = @import("../abi.zig");
const blob_format = @import("blob.zig");
const execute = @import("execute.zig");
const pool_threads = @import("../threads/pool.zig");

/// Of each worker, if all came at once.
const pieces_per_worker = 4;

/// Whether the instructions that workers share do nothing once for each worker, and their work is
/// spread evenly.
pub fn fits(blob: *const blob_format.Blob) bool {
    for (blob.instrs) |instr| {
        if (isSerial(instr.flags)) continue;
        switch (@as(abi.Op, @enumFromInt(instr.op))) {
            .copy, .add, .sub, .mul, .div, .softmax, .select, .elementwise_chain => {},
            .neg, .abs, .floor, .ceil, .round, .sqrt, .exp, .log, .sin, .cos, .tan => {},
            .asin, .acos, .atan, .tanh, .erf, .sigmoid, .power, .modulo, .minimum => {},
            .maximum, .equal, .not_equal, .less, .less_equal => {},
            .reduce_sum, .reduce_product, .reduce_max, .reduce_min, .arg_max, .arg_min => {},
            else => return false,
        }
    }
    return true;
}

/// Takes the step of a run that has one, on the pool's workers.
pub fn step(run: *execute.Run, pool: *pool_threads.Pool, worker_count: u32) void {
    const instrs = run.bound.program.blob.instrs;
    const pieces = worker_count * pieces_per_worker;
    var part: Part = .{ .run = run, .start = 0, .end = 0, .pieces = pieces };
    while (part.start < instrs.len) : (part.start = part.end) {
        var is_shared = false;
        part.end = part.start;
        while (part.end < instrs.len) : (part.end += 1) {
            const flags = instrs[part.end].flags;
            const waits = flags & @intFromEnum(abi.InstrFlag.barrier_before) != 0;
            if (waits and part.end > part.start) break;
            is_shared = is_shared or !isSerial(flags);
        }
        part.pieces = if (is_shared) pieces else 1;
        pool.run(.{
            .context = &part,
            .body = Part.work,
            .worker_count = if (is_shared) worker_count else 1,
            .piece_count = part.pieces,
        });
    }
    execute.endStep(run);
}

/// Instructions between two barriers.
const Part = struct {
    run: *execute.Run,
    start: u32,
    end: u32,
    pieces: u32,

    fn work(raw: *anyopaque, piece: u32, scratch: []align(64) u8) void {
        const part: *Part = @ptrCast(@alignCast(raw));
        for (part.start..part.end) |index| {
            _ = execute.perform(part.run, @intCast(index), .{
                .index = piece,
                .count = part.pieces,
                .scratch = scratch,
            });
        }
    }
};

fn isSerial(flags: u16) bool {
    return flags & @intFromEnum(abi.InstrFlag.serial) != 0;
}
