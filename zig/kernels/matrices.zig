//! The matrices of an operand: its last two axes, one for each index of the axes before, the batch.
//! What decompositions refuse in them is reported with the matrix and a place.

const std = @import("std");
const gemm = @import("gemm.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;

/// How many matrices `view` holds.
pub fn batchOf(view: *const View) usize {
    var batch: usize = 1;
    for (view.dims[0 .. view.rank - 2]) |extent| batch *= extent;
    return batch;
}

/// Matrix `index` of the batch of `whole`, as `view` has it: batch extents of 1 and missing leading
/// ones are read again.
pub fn matrixAt(
    comptime T: type,
    view: *const View,
    whole: *const View,
    index: usize,
) gemm.Matrix(T) {
    var rest = index;
    var offset: i64 = 0;
    const missing = whole.rank - view.rank;
    var axis: usize = whole.rank - 2;
    while (axis > missing) {
        axis -= 1;
        const at = rest % whole.dims[axis];
        rest /= whole.dims[axis];
        if (view.dims[axis - missing] > 1) {
            offset += @as(i64, @intCast(at)) * view.strides[axis - missing];
        }
    }
    const bytes = @as(usize, @bitCast(offset)) *% @sizeOf(T);
    return .{
        .data = @ptrFromInt(@intFromPtr(view.data) +% bytes),
        .row_stride = view.strides[view.rank - 2],
        .column_stride = view.strides[view.rank - 1],
    };
}

/// Part `index` of `count` equal parts of an operand without gaps: what matrix `index` of a batch
/// has in it.
pub fn partAt(comptime T: type, view: *const View, index: usize, count: usize) []T {
    const size = view.elementCount() / count;
    return view.ptr(T)[index * size ..][0..size];
}

/// Runs `body(T, task, index)` for this worker's share of the batch of input 0: a matrix is the
/// work of one worker, so that no sum depends on how many there are.
pub fn forEach(
    task: *const Task,
    comptime body: fn (comptime T: type, task: *const Task, index: usize) void,
) void {
    if (isEmpty(task)) return;
    const share = task.share(batchOf(task.in(0)));
    for (share.start..share.end) |index| {
        switch (task.in(0).dtype) {
            .f32 => body(f32, task, index),
            .f64 => body(f64, task, index),
            else => unreachable,
        }
    }
}

/// Whether there is nothing to write: a batch may have any extent then, and is not walked.
pub fn isEmpty(task: *const Task) bool {
    for (0..task.output_count) |index| {
        if (task.out(index).elementCount() > 0) return false;
    }
    return true;
}

pub fn scratchOf(task: *const Task) []align(64) u8 {
    return task.scratch[0..task.scratch_size];
}

/// Rows and columns of the matrices of `view`.
pub fn extents(view: *const View) [2]usize {
    return .{ view.dims[view.rank - 2], view.dims[view.rank - 1] };
}

/// Copies a matrix of any strides to one of rows without gaps. An element that is not finite is
/// reported as one of matrix `index`, with its row; false then.
pub fn copyFinite(
    comptime T: type,
    task: *const Task,
    index: usize,
    copy: struct { from: gemm.Matrix(T), to: []T, columns: usize },
) bool {
    const columns = copy.columns;
    if (columns == 0) return true;
    for (0..copy.to.len / columns) |i| {
        const row = copy.to[i * columns ..][0..columns];
        if (copy.from.column_stride == 1) {
            @memcpy(row, copy.from.at(i, 0)[0..columns]);
        } else for (row, 0..) |*y, j| {
            y.* = copy.from.at(i, j)[0];
        }
        if (!allFinite(T, row)) return refuse(task, .matrix_not_finite, index, i);
    }
    return true;
}

/// Whether no element is infinite or not a number.
pub fn allFinite(comptime T: type, x: []const T) bool {
    const width = 16;
    const V = @Vector(width, T);
    const most: V = @splat(std.math.floatMax(T));
    var at: usize = 0;
    while (at + width <= x.len) : (at += width) {
        const v: V = x[at..][0..width].*;
        if (!@reduce(.And, @abs(v) <= most)) return false;
    }
    for (x[at..]) |value| if (!std.math.isFinite(value)) return false;
    return true;
}

/// Reports matrix `index` of the batch and a place in it; false, for the caller to go by.
pub fn refuse(task: *const Task, code: task_types.FaultCode, index: usize, place: usize) bool {
    const known: i64 = @intCast(@min(index, (1 << 20) - 1));
    task.fail(code, known * (1 << 32) + @as(i64, @intCast(place)));
    return false;
}
