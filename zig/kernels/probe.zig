//! What this machine can do at most, measured by the code the kernels are made of: bytes read in
//! sequence, int8 and f32 multiply-adds in registers. The caller holds the clock.

const std = @import("std");
const dot = @import("dot.zig");
const gemm = @import("gemm.zig");
const stream = @import("stream.zig");

const Chunk = @Vector(8, u64);
const chunk_size = @sizeOf(Chunk);
const unroll = 4;

/// Reads all bytes; the result depends on each of them.
pub fn probeRead(data: [*]const u8, size: usize) callconv(.c) u64 {
    var sums: [unroll]Chunk = @splat(@splat(0));
    var at: usize = 0;
    while (at + unroll * chunk_size <= size) : (at += unroll * chunk_size) {
        inline for (&sums, 0..) |*sum, i| {
            const source: *align(1) const Chunk = @ptrCast(data + at + i * chunk_size);
            sum.* +%= source.*;
        }
    }
    var result = @reduce(.Add, (sums[0] +% sums[1]) +% (sums[2] +% sums[3]));
    for (data[at..size]) |byte| result +%= byte;
    return result;
}

/// Reads and writes so many bytes, both spread evenly over the time; writes go past the caches
/// where that is asked for. Whole lines are written, at a multiple of 64; the result depends on
/// what was read.
pub fn probeStream(
    source: [*]const u8,
    read_size: usize,
    target: [*]u8,
    write_size: usize,
    past_caches: bool,
) callconv(.c) u64 {
    const block_size = 16 << 10;
    const line_size = 64;
    const step_size = unroll * chunk_size;
    const blocks = @max(1, (@max(read_size, write_size) + block_size - 1) / block_size);
    const value: @typeInfo(@TypeOf(stream.fill)).@"fn".params[1].type.? = @splat(1);
    var result: u64 = 0;
    var read: usize = 0;
    var written: usize = 0;
    for (1..blocks + 1) |block| {
        const read_end = read_size / step_size * block / blocks * step_size;
        const write_end = (write_size / line_size * block / blocks) * line_size;
        result +%= probeRead(source + read, read_end - read);
        read = read_end;
        while (written < write_end) : (written += line_size) {
            if (past_caches) {
                stream.fill(target + written, value);
                continue;
            }
            const line: *[line_size / 4]f32 = @ptrCast(@alignCast(target + written));
            line.* = @splat(1);
        }
    }
    stream.fence();
    return result;
}

/// Runs the level's dot product without touching memory; gives the operations done, a multiply and
/// an add counted each.
pub fn probeInt8(iterations: u64) callconv(.c) u64 {
    const D = dot.Ternary(dot.native);
    if (dot.matrixOf(D)) |M| return probeMatrices(M, iterations);
    // Products that are added in a step of their own could be computed once for all iterations:
    // their factors change hands in every one. Else accumulators only have to outnumber latency.
    const split = @TypeOf(@as(D.Sums, undefined)) != @Vector(D.lanes, i32);
    const code_count = if (split) 4 else 1;
    const x_count = if (split) 2 else 1;
    const sum_count = if (split) code_count * x_count else if (D.registers == 32) 16 else 12;
    var codes: [code_count]D.Word = undefined;
    var x: [x_count]D.Word = undefined;
    var sums: [sum_count]D.Sums = undefined;
    inline for (&codes, 0..) |*word, i| word.* = hidden(D.Word, @splat(0x01000201 + i));
    inline for (&x, 0..) |*word, i| word.* = hidden(D.Word, @splat(0x817f0305 + i));
    inline for (&sums, 0..) |*sum, i| sum.* = @splat(i);
    for (0..iterations) |_| {
        if (split) {
            inline for (&codes) |*word| word.* = hidden(D.Word, word.*);
            inline for (&x) |*word| word.* = hidden(D.Word, word.*);
        }
        inline for (&sums, 0..) |*sum, i| {
            sum.* = D.add(sum.*, codes[i % code_count], x[i / code_count % x_count]);
        }
    }
    inline for (sums) |sum| std.mem.doNotOptimizeAway(D.total(sum)[0]);
    return iterations * sum_count * D.lanes * 4 * 2;
}

/// The same of a level whose most productive step multiplies matrices.
fn probeMatrices(comptime M: type, iterations: u64) u64 {
    const codes = hidden(M.Bytes, @splat(1));
    const x = hidden(M.Bytes, @splat(0x83));
    var sums: [16]M.Sums = undefined;
    inline for (&sums, 0..) |*sum, i| sum.* = @splat(i);
    for (0..iterations) |_| {
        inline for (&sums) |*sum| sum.* = M.add(2, hidden(M.Sums, sum.*), codes, x);
    }
    inline for (sums) |sum| std.mem.doNotOptimizeAway(sum[0]);
    // Two rows by two rows of eight.
    return iterations * sums.len * 2 * 2 * 8 * 2;
}

/// Runs dense products' multiply-add in registers; gives the operations done, two each.
pub fn probeF32(iterations: u64) callconv(.c) u64 {
    const Vector = gemm.Gemm(f32).Vector;
    // More than latency times throughput, few enough for sixteen registers.
    const sum_count = 12;
    var sums: [sum_count]Vector = @splat(@splat(0));
    const a = hidden(Vector, @splat(0.5));
    const b = hidden(Vector, @splat(0.25));
    for (0..iterations) |_| {
        inline for (&sums) |*sum| sum.* = gemm.fma(Vector, a, b, hidden(Vector, sum.*));
    }
    inline for (sums) |sum| std.mem.doNotOptimizeAway(sum[0]);
    return iterations * sum_count * gemm.Gemm(f32).lanes * 2;
}

/// The same value, which the compiler no longer knows.
inline fn hidden(comptime T: type, value: T) T {
    if (@import("builtin").cpu.arch == .aarch64) return asm (""
        : [out] "=w" (-> T),
        : [in] "0" (value),
    );
    return asm (""
        : [out] "=x" (-> T),
        : [in] "0" (value),
    );
}

test "probeRead: every byte counts" {
    var data: [1500]u8 = @splat(0);
    for ([_]usize{ 0, 1, 255, 256, 1500 }) |size| {
        const before = probeRead(&data, size);
        for (0..size) |i| {
            data[i] = 1;
            try std.testing.expect(probeRead(&data, size) != before);
            data[i] = 0;
        }
    }
}

test "probeStream: writes all of its target, whole lines of it, and nothing behind" {
    const source: [9000]u8 = @splat(1);
    var target: [4000]u8 align(64) = @splat(0);
    for ([_]bool{ false, true }) |past_caches| for ([_]usize{ 0, 64, 3968 }) |size| {
        @memset(&target, 0);
        _ = probeStream(&source, source.len, &target, size, past_caches);
        const written = std.mem.count(u8, &target, &.{0x3f});
        try std.testing.expectEqual(size / 4, written);
        try std.testing.expect(std.mem.allEqual(u8, target[size..], 0));
    };
}

test "probeF32: counts operations in proportion to iterations" {
    const one = probeF32(1);
    try std.testing.expect(one > 0);
    try std.testing.expectEqual(100 * one, probeF32(100));
}

test "probeInt8: counts operations in proportion to iterations" {
    const one = probeInt8(1);
    try std.testing.expect(one > 0);
    try std.testing.expectEqual(100 * one, probeInt8(100));
}
