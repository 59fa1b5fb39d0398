//! Stored packings of ternary weights to codes -1, 0, 1 (docs/formats/packings.md).
//!
//! Input: bytes u8 (S). Output: codes i8 (N, K) without gaps. Attributes: the packing, the
//! extents. Bytes that packing does not make are reported as packing_broken with the place of the
//! first one that a worker met; a size that does not fit as well. Workers share the blocks of
//! planes (rows of them for byte_aligned); what has no blocks of a known place is worker 0's.

const std = @import("std");
const planes = @import("packing_planes.zig");
const runs = @import("packing_runs.zig");
const task_types = @import("task.zig");
const Task = task_types.Task;

/// Numbers as in the list of names of src/checkpoint/types.ts.
pub const Packing = enum(u32) {
    two_bit,
    base_3,
    byte_aligned,
    uncompressed,
    run_length,
    sparse,
    hybrid,
};
pub const packing_count = @typeInfo(Packing).@"enum".fields.len;

/// The extents of the codes, and a `Packing`.
pub const Attrs = extern struct { packing: u32, rows: u32, columns: u32 };

pub fn run(task: *const Task) callconv(.c) void {
    const bytes = task.in(0).ptr(u8)[0..task.in(0).dims[0]];
    const out = task.out(0);
    const codes = out.ptr(i8)[0..out.elementCount()];
    const wrong = switch (@as(Packing, @enumFromInt(task.attr(Attrs).packing))) {
        .two_bit => shared(task, 4, bytes, codes),
        .base_3 => shared(task, 5, bytes, codes),
        .byte_aligned => byRows(task, bytes, codes),
        .uncompressed => plain(task, bytes, codes),
        .run_length => if (task.worker == 0) runs.unpackRuns(bytes, codes) else null,
        .sparse => if (task.worker == 0) runs.unpackSparse(bytes, codes) else null,
        .hybrid => if (task.worker == 0) unpackHybrid(bytes, codes) else null,
    };
    if (wrong) |index| task.fail(.packing_broken, @intCast(index));
}

/// This worker's blocks of a sequence with `per_byte` weights a byte.
fn shared(task: *const Task, comptime per_byte: usize, bytes: []const u8, codes: []i8) ?usize {
    if (bytes.len != (codes.len + per_byte - 1) / per_byte) return bytes.len;
    const block = planes.block_bytes * per_byte;
    const share = task.share((codes.len + block - 1) / block);
    const from = share.start * block;
    const to = @min(share.end * block, codes.len);
    if (from >= to) return null;
    const at = share.start * planes.block_bytes;
    const wrong = planes.unpack(per_byte, bytes[at..], codes[from..to]) orelse return null;
    return at + wrong;
}

fn byRows(task: *const Task, bytes: []const u8, codes: []i8) ?usize {
    const rows: usize = task.out(0).dims[0];
    const columns: usize = task.out(0).dims[1];
    const row_bytes = (columns + 3) / 4;
    if (bytes.len != rows * row_bytes) return bytes.len;
    const share = task.share(rows);
    for (share.start..share.end) |row| {
        const packed_row = bytes[row * row_bytes ..][0..row_bytes];
        const wrong = planes.unpack(4, packed_row, codes[row * columns ..][0..columns]);
        if (wrong) |index| return row * row_bytes + index;
    }
    return null;
}

fn plain(task: *const Task, bytes: []const u8, codes: []i8) ?usize {
    if (bytes.len != codes.len) return bytes.len;
    const share = task.share(codes.len);
    const wrong = planes.copy(bytes[share.start..share.end], codes[share.start..share.end]);
    return if (wrong) |index| share.start + index else null;
}

const hybrid_block = 4096;
const hybrid_header = 3;

/// A byte for the packing, u16 for the size, the bytes of each block.
fn unpackHybrid(bytes: []const u8, codes: []i8) ?usize {
    var at: usize = 0;
    var done: usize = 0;
    while (done < codes.len) {
        if (at + hybrid_header > bytes.len) return at;
        const size = std.mem.readInt(u16, bytes[at + 1 ..][0..2], .little);
        const start = at + hybrid_header;
        if (start + size > bytes.len) return at;
        const target = codes[done..@min(done + hybrid_block, codes.len)];
        if (unpackBlock(bytes[at], bytes[start..][0..size], target)) |wrong| return start + wrong;
        at = start + size;
        done += target.len;
    }
    return if (at == bytes.len) null else at;
}

fn unpackBlock(id: u8, bytes: []const u8, codes: []i8) ?usize {
    const per_byte: usize = switch (id) {
        0 => 1,
        1 => 4,
        2 => 5,
        3 => return runs.unpackRuns(bytes, codes),
        4 => return runs.unpackSparse(bytes, codes),
        else => return 0,
    };
    if (bytes.len != (codes.len + per_byte - 1) / per_byte) return bytes.len;
    return switch (id) {
        0 => planes.copy(bytes, codes),
        1 => planes.unpack(4, bytes, codes),
        else => planes.unpack(5, bytes, codes),
    };
}

const testing = @import("testing.zig");

fn expectUnpacked(packing: Packing, bytes: []const u8, shape: [2]u32, want: []const i8) !void {
    var codes: [1024]i8 = undefined;
    const out = codes[0..want.len];
    const inputs = [_]task_types.View{testing.dense(u8, bytes, &.{@intCast(bytes.len)})};
    const outputs = [_]task_types.View{testing.dense(i8, out, &shape)};
    const attrs: Attrs = .{
        .packing = @intFromEnum(packing),
        .rows = shape[0],
        .columns = shape[1],
    };
    try testing.runSplit(&run, &inputs, &outputs, attrs, &.{std.mem.sliceAsBytes(out)});
    try std.testing.expectEqualSlices(i8, want, out);
}

fn expectBroken(packing: Packing, bytes: []const u8, shape: [2]u32) !void {
    var codes: [1024]i8 = undefined;
    const inputs = [_]task_types.View{testing.dense(u8, bytes, &.{@intCast(bytes.len)})};
    const outputs = [_]task_types.View{testing.dense(i8, codes[0 .. shape[0] * shape[1]], &shape)};
    const attrs: Attrs = .{
        .packing = @intFromEnum(packing),
        .rows = shape[0],
        .columns = shape[1],
    };
    const fault = testing.run(&run, &inputs, &outputs, attrs, .{});
    try std.testing.expectEqual(task_types.FaultCode.packing_broken, fault.code);
}

test "unpack_packed: small sequences in every packing" {
    const want = [_]i8{ 1, -1, 0, 1, 1, 0 };
    // Two bytes: weights 0 2 4 and 1 3 5 in pairs, the last pair empty.
    try expectUnpacked(.two_bit, &.{ 0b100110, 0b011000 }, .{ 1, 6 }, &want);
    try expectUnpacked(.byte_aligned, &.{ 0b10, 0, 0b01, 0b10, 0b10, 0b01 }, .{ 6, 1 }, &want);
    try expectUnpacked(.uncompressed, &.{ 1, 255, 0, 1, 1, 0 }, .{ 2, 3 }, &want);
    try expectUnpacked(.run_length, &.{ 2, 0, 1, 2 | 1 << 2, 1 }, .{ 1, 6 }, &want);
    try expectUnpacked(.sparse, &.{ 0, 0x80, 1, 0 }, .{ 1, 6 }, &want);
    try expectUnpacked(.hybrid, &.{ 4, 4, 0, 0, 0x80, 1, 0 }, .{ 1, 6 }, &want);
    // 2 1 2 0 0 and 0 2 1 0 0 as numbers: 207 and 63.
    try expectUnpacked(.base_3, &.{ 219, 67 }, .{ 1, 6 }, &want);
}

test "unpack_packed: bytes that packing does not make are reported" {
    try expectBroken(.two_bit, &.{3}, .{ 1, 4 });
    try expectBroken(.two_bit, &.{0x40}, .{ 1, 3 });
    try expectBroken(.two_bit, &.{ 0, 0 }, .{ 1, 4 });
    try expectBroken(.base_3, &.{20}, .{ 1, 5 });
    try expectBroken(.base_3, &.{2}, .{ 1, 4 });
    try expectBroken(.uncompressed, &.{2}, .{ 1, 1 });
    try expectBroken(.run_length, &.{3}, .{ 1, 1 });
    try expectBroken(.run_length, &.{1 << 2}, .{ 1, 1 });
    try expectBroken(.run_length, &.{0}, .{ 1, 2 });
    try expectBroken(.sparse, &.{5}, .{ 1, 5 });
    try expectBroken(.sparse, &.{255}, .{ 1, 5 });
    try expectBroken(.hybrid, &.{ 5, 0, 0 }, .{ 1, 1 });
    try expectBroken(.hybrid, &.{ 0, 1 }, .{ 1, 1 });
    try expectBroken(.hybrid, &.{ 0, 2, 0, 0, 0 }, .{ 1, 1 });
}
