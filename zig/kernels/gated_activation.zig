//! y = f(gate) * up, with f either relu2(x) = max(x, 0)^2 or silu(x) = x / (1 + e^-x).
//!
//! gate, up, y: f32 (R, F) rows; y may be the memory of either. Units of work: spans of columns.

const std = @import("std");
const lanes = @import("lanes.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;

pub const Activation = enum(u32) { relu2, silu };

pub const Attrs = extern struct { activation: Activation };

const span_count_max = 512;

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.attr(Attrs).activation) {
        inline else => |activation| apply(activation, task),
    }
}

fn apply(comptime activation: Activation, task: *const Task) void {
    const gates = task.in(0);
    const cols: usize = gates.dims[1];
    const spans_per_row = (cols + span_count_max - 1) / span_count_max;
    const share = task.share(gates.dims[0] * spans_per_row);
    for (share.start..share.end) |unit| {
        const index = unit / spans_per_row;
        const start = unit % spans_per_row * span_count_max;
        const end = @min(cols, start + span_count_max);
        const gate = gates.row(f32, index)[start..end];
        const up = task.in(1).row(f32, index)[start..end];
        const y = task.out(0).row(f32, index)[start..end];
        var i: usize = 0;
        while (i < y.len) : (i += lanes.width) {
            const left = y.len - i;
            const x = lanes.loadUpTo(f32, gate.ptr + i, left);
            const factor = lanes.loadUpTo(f32, up.ptr + i, left);
            lanes.storeUpTo(f32, y.ptr + i, activate(activation, x) * factor, left);
        }
    }
}

inline fn activate(comptime activation: Activation, x: lanes.F32) lanes.F32 {
    switch (activation) {
        .relu2 => {
            const positive = lanes.max(x, lanes.zero);
            return positive * positive;
        },
        .silu => return x / (lanes.splat(1) + lanes.exp(-x)),
    }
}

const testing = @import("testing.zig");

test "gated_activation: equals f64 to 1e-6, however the work is split" {
    for ([_]Activation{ .relu2, .silu }) |activation| {
        const cols = 1100;
        var gate: [2 * cols]f32 = undefined;
        var up: [2 * cols]f32 = undefined;
        var y: [2 * cols]f32 = undefined;
        testing.fillNormal(f32, &gate, 1, 4);
        testing.fillNormal(f32, &up, 2, 1);
        gate[0] = -200;
        gate[1] = 200;
        const inputs = [_]task_types.View{
            testing.dense(f32, &gate, &.{ 2, cols }),
            testing.dense(f32, &up, &.{ 2, cols }),
        };
        const outputs = [_]task_types.View{testing.dense(f32, &y, &.{ 2, cols })};
        const attrs = Attrs{ .activation = activation };
        try testing.runSplit(run, &inputs, &outputs, attrs, &.{std.mem.sliceAsBytes(&y)});
        for (gate, up, y) |x, factor, got| {
            const wide: f64 = x;
            const value = switch (activation) {
                .relu2 => if (x > 0) wide * wide else 0,
                .silu => wide / (1 + @exp(-wide)),
            };
            try testing.expectNear(value * factor, got, 1e-6);
        }
    }
}
