//! Converts arrays that are lent for one call: the op `convert` without a Program, on the caller's
//! thread and on those of the pool that have nothing else to do. Bounded, so that a caller's event
//! loop never waits for long.

const std = @import("std");
const abi = @import("../abi.zig");
const cast = @import("../kernels/cast.zig");
const dispatch = @import("../dispatch.zig");
const driver = @import("driver.zig");
const kernel = @import("../kernels/convert.zig");
const task = @import("../kernels/task.zig");

pub const Error = error{ InvalidArgument, TooCostly };

/// Elements of one call: a fraction of a millisecond.
const count_max = 1 << 20;
/// Fewer elements are done before a second thread has woken.
const alone_count_max = 1 << 15;

const Losses = [count_max / cast.span_count_max]abi.ConversionLoss;

/// Arrays that overlap must begin at the same address.
pub fn now(
    source: [*]const u8,
    target: [*]u8,
    conversion: abi.Conversion,
    loss: *abi.ConversionLoss,
) Error!void {
    if (conversion.count > count_max) return error.TooCostly;
    const count: u32 = @intCast(conversion.count);
    const from = std.enums.fromInt(abi.Plain, conversion.from) orelse return error.InvalidArgument;
    const to = std.enums.fromInt(abi.Plain, conversion.to) orelse return error.InvalidArgument;
    if (from == to or !cast.fits(from, to, conversion.scale, conversion.zero_point)) {
        return error.InvalidArgument;
    }
    if (conversion.source_size < from.size(count)) return error.InvalidArgument;
    if (conversion.target_size < to.size(count)) return error.InvalidArgument;
    const start = @intFromPtr(source);
    const target_start = @intFromPtr(target);
    const meet = start < target_start + to.size(count) and target_start < start + from.size(count);
    if (meet and start != target_start) return error.InvalidArgument;
    if (count == 0) return;

    var job: Job = .{
        .views = .{ view(from, @constCast(source), count), view(to, target, count), undefined },
        .attrs = .{
            .scale = conversion.scale,
            .zero_point = conversion.zero_point,
            .has_losses = @intFromBool(conversion.measured != 0),
        },
    };
    // In place, results of one size alone stay clear of what another worker has yet to read.
    const ordered = meet and from.bits() != to.bits();
    const wanted = if (ordered or count <= alone_count_max) 1 else conversion.thread_count;
    if (conversion.measured != 0) job.runMeasured(wanted, loss) else job.run(wanted);
}

const Job = struct {
    views: [3]task.View,
    attrs: kernel.Attrs,
    worker_count: u32 = 1,

    /// Apart from `run`, for the memory that it takes of the stack.
    noinline fn runMeasured(job: *Job, wanted: u32, loss: *abi.ConversionLoss) void {
        var losses: Losses = undefined;
        const spans = kernel.spanCount(job.views[0].dims[1]);
        job.views[2] = lossView(&losses, spans);
        job.run(wanted);
        for (losses[0..spans]) |part| loss.add(part);
    }

    fn run(job: *Job, wanted: u32) void {
        if (wanted != 1) if (driver.borrowPool(wanted)) |borrowed| {
            defer driver.returnPool();
            job.worker_count = borrowed.worker_count;
            return borrowed.pool.run(.{
                .context = job,
                .body = work,
                .worker_count = borrowed.worker_count,
            });
        };
        work(job, 0, &.{});
    }

    fn work(raw: *anyopaque, worker: u32, scratch: []align(64) u8) void {
        const job: *Job = @ptrCast(@alignCast(raw));
        var fault: task.Fault = .{};
        var stop: u32 = 0;
        dispatch.kernel(.convert)(&.{
            .views = &job.views,
            .input_count = 1,
            .output_count = 1 + job.attrs.has_losses,
            .attrs = @ptrCast(&job.attrs),
            .worker = worker,
            .worker_count = job.worker_count,
            .scratch = scratch.ptr,
            .scratch_size = scratch.len,
            .step = 0,
            .fault = &fault,
            .stop = &stop,
        });
    }
};

fn view(plain: abi.Plain, data: [*]u8, count: u32) task.View {
    return .{
        .data = data,
        .row_scale = null,
        .dims = .{ 1, count, 0, 0, 0, 0 },
        .strides = .{ count, 1, 0, 0, 0, 0 },
        .dtype = plain.dtype(),
        .layout = if (plain == .i4) .i4 else .strided,
        .rank = 2,
    };
}

fn lossView(losses: *Losses, spans: usize) task.View {
    return .{
        .data = @ptrCast(losses),
        .row_scale = null,
        .dims = .{ @intCast(spans), 4, 0, 0, 0, 0 },
        .strides = .{ 4, 1, 0, 0, 0, 0 },
        .dtype = .f64,
        .layout = .strided,
        .rank = 2,
    };
}
