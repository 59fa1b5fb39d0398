//! Writes the keys and values of this step's rows into the pages of their sequences:
//! page = pages[seq[r], pos[r] / 64]; k_pages[page, g, i, pos % 64] = k[r, g, i] and
//! v_pages[page, g, pos % 64, i] = v[r, g, i].
//!
//! k, v: f32 (R, G, hd), adjacent within a head; pos, seq: i32 (R); pages: i32 (S, PM). k_pages:
//! (P, G, hd, 64), so that a page of keys is read with positions in lanes; v_pages:
//! (P, G, 64, hd); both f32 or both f16, pages dense. What points outside is a fault. Units of
//! work: rows of each group in turn.

const std = @import("std");
const lanes = @import("lanes.zig");
const strided = @import("strided.zig");
const task_types = @import("task.zig");

const Task = task_types.Task;
const View = task_types.View;

/// Positions in a page.
pub const page_positions = 64;

pub fn run(task: *const Task) callconv(.c) void {
    switch (task.out(0).dtype) {
        .f32 => write(f32, task),
        .f16 => write(f16, task),
        else => unreachable,
    }
}

fn write(comptime T: type, task: *const Task) void {
    const k = task.in(0);
    const v = task.in(1);
    const hd: usize = k.dims[2];
    const row_count: usize = k.dims[0];
    const share = task.share(k.dims[1] * row_count);
    for (share.start..share.end) |unit| {
        const group = unit / row_count;
        const index = unit % row_count;
        const position = strided.item(i32, task.in(2), index);
        const sequence = strided.item(i32, task.in(3), index);
        const pages = pagesOf(task, task.in(4), sequence) orelse continue;
        const page = pageAt(task, pages, position, task.out(0).dims[0]) orelse continue;
        const slot: usize = @intCast(@mod(position, page_positions));
        const k_page = strided.at(T, task.out(0), page, group) + slot;
        writeColumn(T, strided.at(f32, k, index, group)[0..hd], k_page);
        const v_row = strided.at(T, task.out(1), page, group) + slot * hd;
        writeRow(T, strided.at(f32, v, index, group)[0..hd], v_row);
    }
}

/// The page table of a sequence; a fault when there is no such sequence.
pub fn pagesOf(task: *const Task, pages: *const View, sequence: i32) ?[]const i32 {
    if (sequence < 0 or sequence >= pages.dims[0]) {
        task.fail(.sequence_out_of_range, sequence);
        return null;
    }
    return pages.row(i32, @intCast(sequence));
}

/// The page that holds `position`; a fault when the table or the cache has none.
pub fn pageAt(task: *const Task, pages: []const i32, position: i32, page_count: usize) ?usize {
    if (position < 0 or @divFloor(position, page_positions) >= pages.len) {
        task.fail(.position_out_of_range, position);
        return null;
    }
    const page = pages[@intCast(@divFloor(position, page_positions))];
    if (page < 0 or page >= page_count) {
        task.fail(.page_out_of_range, page);
        return null;
    }
    return @intCast(page);
}

fn writeColumn(comptime T: type, x: []const f32, column: [*]T) void {
    var i: usize = 0;
    while (i < x.len) : (i += lanes.width) {
        const left = x.len - i;
        var converted: [lanes.width]T = undefined;
        lanes.store(T, &converted, lanes.loadUpTo(f32, x.ptr + i, left));
        for (0..@min(left, lanes.width)) |lane| {
            column[(i + lane) * page_positions] = converted[lane];
        }
    }
}

fn writeRow(comptime T: type, x: []const f32, row: [*]T) void {
    var i: usize = 0;
    while (i < x.len) : (i += lanes.width) {
        const left = x.len - i;
        lanes.storeUpTo(T, row + i, lanes.loadUpTo(f32, x.ptr + i, left), left);
    }
}

const testing = @import("testing.zig");

const Case = struct {
    k: [3 * 2 * 20]f32 = undefined,
    v: [3 * 2 * 20]f32 = undefined,
    positions: [3]i32 = .{ 63, 64, 5 },
    sequences: [3]i32 = .{ 1, 1, 0 },
    pages: [2 * 2]i32 = .{ 3, -1, 0, 2 },

    fn init() Case {
        var case: Case = .{};
        testing.fillNormal(f32, &case.k, 1, 1);
        testing.fillNormal(f32, &case.v, 2, 1);
        return case;
    }

    fn inputs(case: *Case) [5]View {
        return .{
            testing.dense(f32, &case.k, &.{ 3, 2, 20 }),
            testing.dense(f32, &case.v, &.{ 3, 2, 20 }),
            testing.dense(i32, &case.positions, &.{3}),
            testing.dense(i32, &case.sequences, &.{3}),
            testing.dense(i32, &case.pages, &.{ 2, 2 }),
        };
    }
};

test "kv_write: puts each position in its page, keys transposed, and touches nothing else" {
    inline for (.{ f32, f16 }) |T| {
        var case = Case.init();
        const page_size = 2 * 20 * page_positions;
        var k_pages: [4 * page_size]T = undefined;
        var v_pages: [4 * page_size]T = undefined;
        const outputs = [_]View{
            testing.dense(T, &k_pages, &.{ 4, 2, 20, page_positions }),
            testing.dense(T, &v_pages, &.{ 4, 2, page_positions, 20 }),
        };
        const bytes = [_][]u8{ std.mem.sliceAsBytes(&k_pages), std.mem.sliceAsBytes(&v_pages) };
        try testing.runSplit(run, &case.inputs(), &outputs, {}, &bytes);
        for ([_]usize{ 0, 2, 3 }, [_]usize{ 63, 0, 5 }, 0..) |page, slot, r| {
            for (0..2) |group| for (0..20) |i| {
                const from = (r * 2 + group) * 20 + i;
                const head = page * page_size + group * 20 * page_positions;
                const k: T = @floatCast(case.k[from]);
                const v: T = @floatCast(case.v[from]);
                try std.testing.expectEqual(k, k_pages[head + i * page_positions + slot]);
                try std.testing.expectEqual(v, v_pages[head + slot * 20 + i]);
            };
        }
        var untouched: usize = 0;
        const blank = @as([@sizeOf(T)]u8, @splat(0x55));
        for (k_pages) |x| untouched += @intFromBool(std.mem.eql(u8, std.mem.asBytes(&x), &blank));
        try std.testing.expectEqual(k_pages.len - 3 * 2 * 20, untouched);
    }
}

test "kv_write: refuses positions, sequences and pages that are not there" {
    const Refusal = struct { position: i32, sequence: i32, code: task_types.FaultCode };
    for ([_]Refusal{
        .{ .position = 128, .sequence = 1, .code = .position_out_of_range },
        .{ .position = -1, .sequence = 1, .code = .position_out_of_range },
        .{ .position = 0, .sequence = 2, .code = .sequence_out_of_range },
        .{ .position = 0, .sequence = -1, .code = .sequence_out_of_range },
        .{ .position = 70, .sequence = 0, .code = .page_out_of_range },
    }) |refusal| {
        var case = Case.init();
        case.positions[2] = refusal.position;
        case.sequences[2] = refusal.sequence;
        var pages: [4 * 2 * 20 * page_positions]f16 = undefined;
        const outputs = [_]View{
            testing.dense(f16, &pages, &.{ 4, 2, 20, page_positions }),
            testing.dense(f16, &pages, &.{ 4, 2, page_positions, 20 }),
        };
        const outcome = testing.run(run, &case.inputs(), &outputs, {}, .{});
        try std.testing.expectEqual(refusal.code, outcome.code);
    }
}
