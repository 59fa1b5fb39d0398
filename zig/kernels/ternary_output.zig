//! The last step of a ternary product, from exact sums to floats:
//! y[r, n] = (f32(sum) * row_scale[n]) * (1 / a[r]) (+ bias[n]) (+ residual[r, n]).
//!
//! Every operation rounds by itself and elements are independent, so any vector width gives the
//! same bits. Sums come in blocks of 32 weight rows; rows past the last one are dropped here.

const std = @import("std");
const View = @import("task.zig").View;

const block_rows = @import("ternary_tiles.zig").block_rows;

const width = 16;
const F32 = @Vector(width, f32);
const I32 = @Vector(width, i32);

pub const Output = struct {
    y: *const View, // f32 (tokens, rows)
    a: [*]const f32, // (tokens)
    row_scale: ?[*]const f32, // (rows)
    bias: ?[*]const f32, // (rows)
    residual: ?*const View, // f32 (tokens, rows)
    rows: usize,

    /// Writes the rows of `block` for one token.
    pub fn store(
        output: *const Output,
        block: usize,
        token: usize,
        sums: *align(64) const [block_rows]i32,
    ) void {
        const first = block * block_rows;
        const count: usize = @min(block_rows, output.rows - first);
        const inverse = 1 / output.a[token];
        const y = output.y.row(f32, token)[first..][0..count];
        const residual = if (output.residual) |view| view.row(f32, token)[first..] else null;
        var done: usize = 0;
        while (done + width <= count) : (done += width) {
            const whole: I32 = sums[done..][0..width].*;
            var v: F32 = @floatFromInt(whole);
            if (output.row_scale) |scale| v *= scale[first + done ..][0..width].*;
            v *= @as(F32, @splat(inverse));
            if (output.bias) |bias| v += bias[first + done ..][0..width].*;
            if (residual) |rest| v += rest[done..][0..width].*;
            y[done..][0..width].* = v;
        }
        while (done < count) : (done += 1) {
            var v: f32 = @floatFromInt(sums[done]);
            if (output.row_scale) |scale| v *= scale[first + done];
            v *= inverse;
            if (output.bias) |bias| v += bias[first + done];
            if (residual) |rest| v += rest[done];
            y[done] = v;
        }
    }
};
