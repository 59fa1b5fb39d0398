//! A harness for tests of kernels: views over plain slices, a Task for each of several workers run
//! one after the other, and the check that splitting the work never changes a bit of a result.

const std = @import("std");
const task_types = @import("task.zig");
const lanes = @import("lanes.zig");

const Task = task_types.Task;
const View = task_types.View;
const DType = task_types.DType;

pub const Options = struct {
    worker_count: u32 = 1,
    step: u64 = 0,
};

/// What a run left behind besides its outputs.
pub const Outcome = struct {
    code: task_types.FaultCode,
    detail: i64,
    stop: u32,
};

pub const scratch_size = 2 << 20;
var scratch: [scratch_size]u8 align(64) = undefined;

pub fn dtypeOf(comptime T: type) DType {
    return switch (T) {
        f32 => .f32,
        f16 => .f16,
        lanes.Bf16 => .bf16,
        f64 => .f64,
        i32 => .i32,
        u32 => .u32,
        i16 => .i16,
        i8 => .i8,
        u8 => .u8,
        bool => .bool,
        else => @compileError("no dtype of " ++ @typeName(T)),
    };
}

/// A view with its strides in elements; `data` is the element at index 0 of every axis.
pub fn strided(comptime T: type, data: [*]const T, dims: []const u32, strides: []const i64) View {
    std.debug.assert(dims.len == strides.len);
    var view: View = .{
        .data = @ptrCast(@constCast(data)),
        .row_scale = null,
        .dims = @splat(0),
        .strides = @splat(0),
        .dtype = dtypeOf(T),
        .layout = .strided,
        .rank = @intCast(dims.len),
    };
    @memcpy(view.dims[0..dims.len], dims);
    @memcpy(view.strides[0..dims.len], strides);
    return view;
}

/// A view of adjacent elements in row-major order.
pub fn dense(comptime T: type, data: []const T, dims: []const u32) View {
    var strides: [task_types.rank_max]i64 = undefined;
    var stride: i64 = 1;
    var axis = dims.len;
    while (axis > 0) {
        axis -= 1;
        strides[axis] = stride;
        stride *= dims[axis];
    }
    std.debug.assert(stride == data.len);
    return strided(T, data.ptr, dims, strides[0..dims.len]);
}

/// A matrix in a packed layout: bytes and the extents they stand for.
pub fn packedRows(layout: task_types.Layout, data: []const u8, rows: u32, cols: u32) View {
    var view = strided(u8, data.ptr, &.{ rows, cols }, &.{ 0, 0 });
    view.layout = layout;
    return view;
}

/// Runs `kernel` once for each worker in turn; `attrs` is the op's extern struct, or `{}`.
pub fn run(
    kernel: task_types.Kernel,
    inputs: []const View,
    outputs: []const View,
    attrs: anytype,
    options: Options,
) Outcome {
    var views: [16]View = undefined;
    @memcpy(views[0..inputs.len], inputs);
    @memcpy(views[inputs.len..][0..outputs.len], outputs);
    var words: [16]u32 align(16) = @splat(0);
    const bytes = std.mem.asBytes(&attrs);
    @memcpy(std.mem.sliceAsBytes(&words)[0..bytes.len], bytes);
    var fault: task_types.Fault = .{};
    var stop: u32 = 0;
    for (0..options.worker_count) |worker| {
        @memset(&scratch, 0xaa);
        kernel(&.{
            .views = &views,
            .input_count = @intCast(inputs.len),
            .output_count = @intCast(outputs.len),
            .attrs = &words,
            .worker = @intCast(worker),
            .worker_count = options.worker_count,
            .scratch = &scratch,
            .scratch_size = scratch_size,
            .step = options.step,
            .fault = &fault,
            .stop = &stop,
        });
    }
    return .{ .code = @enumFromInt(fault.code), .detail = fault.detail, .stop = stop };
}

/// Runs with one worker, then with several: `output_bytes` (all the memory the kernel may write)
/// must come out the same. Leaves the result of the last run; expects no fault.
pub fn runSplit(
    kernel: task_types.Kernel,
    inputs: []const View,
    outputs: []const View,
    attrs: anytype,
    output_bytes: []const []u8,
) !void {
    const gpa = std.testing.allocator;
    var first: std.ArrayList(u8) = .empty;
    defer first.deinit(gpa);
    for (output_bytes) |bytes| @memset(bytes, 0x55);
    const whole = run(kernel, inputs, outputs, attrs, .{});
    try std.testing.expectEqual(task_types.FaultCode.none, whole.code);
    for (output_bytes) |bytes| try first.appendSlice(gpa, bytes);
    for ([_]u32{ 2, 3, 7 }) |worker_count| {
        for (output_bytes) |bytes| @memset(bytes, 0x55);
        const split = run(kernel, inputs, outputs, attrs, .{ .worker_count = worker_count });
        try std.testing.expectEqual(task_types.FaultCode.none, split.code);
        var at: usize = 0;
        for (output_bytes) |bytes| {
            try std.testing.expectEqualSlices(u8, first.items[at..][0..bytes.len], bytes);
            at += bytes.len;
        }
    }
}

/// Normal deviates, the same for the same seed everywhere.
pub fn fillNormal(comptime T: type, values: []T, seed: u64, scale: f32) void {
    var random = std.Random.DefaultPrng.init(seed);
    for (values) |*value| {
        value.* = lanes.fromF32(T, random.random().floatNorm(f32) * scale);
    }
}

/// Integers from `low` to `high`, both included.
pub fn fillInteger(comptime T: type, values: []T, seed: u64, low: T, high: T) void {
    var random = std.Random.DefaultPrng.init(seed);
    for (values) |*value| value.* = random.random().intRangeAtMost(T, low, high);
}

/// Fails unless `got` lies within `tolerance` of `want`, measured against the larger of |want|, 1.
pub fn expectNear(want: f64, got: f32, tolerance: f64) !void {
    const limit = tolerance * @max(@abs(want), 1);
    if (!(@abs(@as(f64, got) - want) <= limit)) {
        std.debug.print("want {d}, got {d}, tolerance {e}\n", .{ want, got, limit });
        return error.TestExpectedNear;
    }
}

test "run: gives every worker its share and collects the first fault" {
    const Attrs = extern struct { add: u32 };
    const kernel = struct {
        fn run(task: *const Task) callconv(.c) void {
            const share = task.share(task.in(0).dims[1]);
            const x = task.in(0).row(i32, 0);
            const y = task.out(0).row(i32, 0);
            for (share.start..share.end) |i| {
                y[i] = x[i] + @as(i32, @intCast(task.attr(Attrs).add));
                if (x[i] < 0) task.fail(.row_out_of_range, x[i]);
            }
        }
    }.run;
    var x = [_]i32{ 1, 2, 3, 4, 5 };
    var y: [5]i32 = undefined;
    const inputs = [_]View{dense(i32, &x, &.{ 1, 5 })};
    const outputs = [_]View{dense(i32, &y, &.{ 1, 5 })};
    try runSplit(kernel, &inputs, &outputs, Attrs{ .add = 10 }, &.{std.mem.sliceAsBytes(&y)});
    try std.testing.expectEqual([_]i32{ 11, 12, 13, 14, 15 }, y);
    x[1] = -2;
    x[4] = -5;
    const outcome = run(kernel, &inputs, &outputs, Attrs{ .add = 0 }, .{ .worker_count = 2 });
    try std.testing.expectEqual(task_types.FaultCode.row_out_of_range, outcome.code);
    try std.testing.expectEqual(@as(i64, -2), outcome.detail);
}
