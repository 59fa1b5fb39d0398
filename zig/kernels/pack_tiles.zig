//! Weights in {-1, 0, 1} to the packings that the matrix product reads, in the order in which it
//! reads them: `tile2` with two bits a weight, `tile3` with five weights a byte.
//!
//! Input: codes i8 (N, K). Output: w tile2 or tile3 (N, K), its padding written as weight 0. Values
//! outside -1..1 are taken as their sign. Units of work: blocks of 32 rows.
//! Formats: docs/formats/tile2.md and tile3.md.

const std = @import("std");
const strips = @import("tile_strips.zig");
const Task = @import("task.zig").Task;
const View = @import("task.zig").View;

pub fn run(task: *const Task) callconv(.c) void {
    packRows(task, task.out(0), Codes{ .view = task.in(0) });
}

/// Packs all of `w`; see `tile_strips.packBlock` for the source of its rows.
pub fn packRows(task: *const Task, w: *const View, source: anytype) void {
    const scratch: *strips.Scratch = @ptrCast(task.scratch);
    std.debug.assert(task.scratch_size >= @sizeOf(strips.Scratch));
    const blocks = (w.dims[0] + strips.block_rows - 1) / strips.block_rows;
    var units = task.units(blocks, 1);
    while (units.next()) |range| {
        for (range.start..range.end) |block| strips.packBlock(w, block, source, scratch);
    }
}

const width = 64;
const Weights = @Vector(width, i8);

const Codes = struct {
    view: *const View,

    pub fn read(source: Codes, row: usize, column: usize, codes: []u8) void {
        const one: Weights = @splat(1);
        const weights = source.view.row(i8, row)[column..][0..codes.len];
        var at: usize = 0;
        while (at + width <= codes.len) : (at += width) {
            const signs = @min(@max(@as(Weights, weights[at..][0..width].*), -one), one);
            codes[at..][0..width].* = @bitCast(signs + one);
        }
        for (codes[at..], weights[at..]) |*code, weight| {
            code.* = @intCast(@as(i8, 1) + std.math.sign(weight));
        }
    }
};
