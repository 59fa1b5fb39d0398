//! What a kernel sees: the resolved operands of one instruction and its share of the work.
//!
//! A kernel is `fn (task: *const Task) callconv(.c) void`, called once by every worker of a run.
//! The validator has already checked ranks, dtypes, layouts and extents; a kernel checks only what
//! lies in data (token ids, page numbers) and reports it through `fail`, touching nothing out of
//! bounds. The structs are `extern`: each instruction-set level is an object of its own and shares
//! them.

const std = @import("std");
const BlockSizes = @import("block_sizes.zig").BlockSizes;

pub const DType = enum(u8) { f32, f16, bf16, f64, i32, u32, i16, i8, u8, bool };

/// How the elements of a slot lie in memory: by strides, or in a packing of whole matrices whose
/// rows are the outer dimension. `tile2`, `tile3` and `nibble4` are ours; `i4` is plain integers,
/// two a byte, the low nibble first; the others are checkpoint formats (docs/formats).
pub const Layout = enum(u8) {
    strided,
    tile2,
    tile3,
    nibble4,
    hf_ternary,
    tq1_0,
    tq2_0,
    i2_s_128,
    i2_s_64,
    q8_0,
    q4_0,
    q4_k,
    q6_k,
    i4,
};

pub const rank_max = 6;

/// One operand: where it starts, its extents for this run and its strides in elements.
pub const View = extern struct {
    data: [*]u8,
    /// Scale of each row of a packed matrix, `(rows)`; null when the slot names none.
    row_scale: ?[*]const f32,
    dims: [rank_max]u32,
    /// Signed, in elements; 0 repeats. Packed layouts leave them 0.
    strides: [rank_max]i64,
    dtype: DType,
    layout: Layout,
    rank: u8,
    reserved: u8 = 0,

    pub fn ptr(view: *const View, comptime T: type) [*]T {
        return @ptrCast(@alignCast(view.data));
    }

    /// Bytes that need not be aligned to their dtype: weights used in place in a mapped file.
    pub fn loose(view: *const View, comptime T: type) [*]align(1) const T {
        return @ptrCast(view.data);
    }

    /// Elements of row `index` of a `(rows, columns)` operand whose columns are adjacent.
    pub fn row(view: *const View, comptime T: type, index: usize) []T {
        std.debug.assert(view.rank == 2);
        const start = @as(i64, @intCast(index)) * view.strides[0];
        const base: [*]T = @ptrCast(@alignCast(view.data));
        return (base + @as(usize, @intCast(start)))[0..view.dims[1]];
    }

    pub fn elementCount(view: *const View) usize {
        var count: usize = 1;
        for (view.dims[0..view.rank]) |extent| count *= extent;
        return count;
    }
};

/// The first thing that went wrong in a run; kernels on any thread may set it.
pub const Fault = extern struct {
    code: u32 = 0,
    /// The instruction whose data it was.
    instr: u32 = 0,
    detail: i64 = 0,
};

/// What data can make a kernel refuse.
pub const FaultCode = enum(u32) {
    none,
    token_out_of_range,
    position_out_of_range,
    page_out_of_range,
    sequence_out_of_range,
    row_out_of_range,
    history_full,
    not_finite,
    packing_broken,
    /// Of these the detail is the matrix's index in its batch times 2^32, and a place in it.
    matrix_not_finite,
    matrix_singular,
    matrix_not_positive_definite,
    matrix_not_converged,
    /// Of what a run reads before its first step, which no kernel reports.
    file_not_found,
    file_unreadable,
    file_truncated,
};

pub const Task = extern struct {
    /// Inputs, then outputs.
    views: [*]const View,
    input_count: u32,
    output_count: u32,
    attrs: [*]const u32,
    worker: u32,
    worker_count: u32,
    /// Private to the worker, 64-byte aligned, contents undefined.
    scratch: [*]align(64) u8,
    scratch_size: usize,
    /// Counts the steps of the run from 0.
    step: u64,
    fault: *Fault,
    /// A kernel that wants the run to end after this step stores 1.
    stop: *u32,
    /// Index of the instruction, for `fail`.
    instr: u32 = 0,
    /// How far each worker's share is handed out, a counter every `claim_stride`; null where
    /// workers keep to their shares.
    claims: ?[*]u32 = null,
    claim_stride: usize = 0,
    /// How products cut their operands; the same for all workers of a run.
    block_sizes: *const BlockSizes = &.{},

    pub fn in(task: *const Task, index: usize) *const View {
        std.debug.assert(index < task.input_count);
        return &task.views[index];
    }

    pub fn out(task: *const Task, index: usize) *const View {
        std.debug.assert(index < task.output_count);
        return &task.views[task.input_count + index];
    }

    /// The attributes of the instruction; `T` is the op's entry in abi.zig's `Attrs`.
    pub fn attr(task: *const Task, comptime T: type) T {
        return @as(*align(4) const T, @ptrCast(task.attrs)).*;
    }

    /// This worker's contiguous share `[start, end)` of `count` units of work.
    pub fn share(task: *const Task, count: usize) struct { start: usize, end: usize } {
        return .{
            .start = count * task.worker / task.worker_count,
            .end = count * (task.worker + 1) / task.worker_count,
        };
    }

    /// Hands out `count` units, at most `grain` at a time: this worker's share, then what others
    /// have not begun of theirs, so that none waits for a worker that is held up. A grain of all
    /// units leaves each with its share. A kernel asks for units once, and no bit of a result may
    /// depend on who does one.
    pub fn units(task: *const Task, count: usize, grain: usize) Units {
        return .{ .task = task, .count = count, .grain = @intCast(@max(1, grain)) };
    }

    /// Reports bad data; the first report of a run wins. The run ends at the next barrier.
    pub fn fail(task: *const Task, code: FaultCode, detail: i64) void {
        const word: u32 = @intFromEnum(code);
        if (@cmpxchgStrong(u32, &task.fault.code, 0, word, .acq_rel, .acquire) == null) {
            task.fault.instr = task.instr;
            task.fault.detail = detail;
        }
    }
};

/// See `Task.units`.
pub const Units = struct {
    task: *const Task,
    count: usize,
    grain: u32,
    /// Shares that are handed out, from this worker's on.
    shares_done: u32 = 0,

    pub const Range = struct { start: usize, end: usize };

    pub fn next(units: *Units) ?Range {
        const task = units.task;
        while (units.shares_done < task.worker_count) {
            const owner: usize = (task.worker + units.shares_done) % task.worker_count;
            const start = units.count * owner / task.worker_count;
            const end = units.count * (owner + 1) / task.worker_count;
            const claims = if (units.grain < units.count) task.claims else null;
            const counters = claims orelse {
                units.shares_done = task.worker_count;
                return if (start < end) .{ .start = start, .end = end } else null;
            };
            const counter = &counters[owner * task.claim_stride];
            // A share that is done is only looked at: its counter stays near its end.
            if (@atomicLoad(u32, counter, .monotonic) < end - start) {
                const taken = @atomicRmw(u32, counter, .Add, units.grain, .monotonic);
                if (start + taken < end) return .{
                    .start = start + taken,
                    .end = @min(end, start + taken + units.grain),
                };
            }
            units.shares_done += 1;
        }
        return null;
    }
};

pub const Kernel = *const fn (task: *const Task) callconv(.c) void;

test "units: every unit is handed out once, whoever asks when" {
    var random = std.Random.DefaultPrng.init(3);
    for ([_]u32{ 1, 2, 3, 8 }) |worker_count| for ([_]usize{ 0, 1, 7, 64, 100 }) |count| {
        for ([_]bool{ false, true }) |shared| for ([_]usize{ 1, 3, 1000 }) |grain| {
            var counters: [16]u32 = @splat(0);
            var tasks: [8]Task = undefined;
            var takers: [8]Units = undefined;
            for (tasks[0..worker_count], takers[0..worker_count], 0..) |*task, *taker, worker| {
                task.* = undefined;
                task.worker = @intCast(worker);
                task.worker_count = worker_count;
                task.claims = if (shared) &counters else null;
                task.claim_stride = 2;
                taker.* = task.units(count, grain);
            }
            var seen: [100]u32 = @splat(0);
            var left: u32 = (@as(u32, 1) << @intCast(worker_count)) - 1;
            while (left != 0) {
                const worker = random.random().uintLessThan(u5, @intCast(worker_count));
                const range = takers[worker].next() orelse {
                    left &= ~(@as(u32, 1) << worker);
                    continue;
                };
                try std.testing.expect(range.start < range.end);
                for (seen[range.start..range.end]) |*times| times.* += 1;
            }
            for (seen[0..count]) |times| try std.testing.expectEqual(1, times);
        };
    };
}
