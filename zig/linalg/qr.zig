//! A = Q R by Householder reflectors, A (m, n) by rows. Panels of columns are factored in a copy
//! whose columns are adjacent, what lies right of a panel takes its reflectors as a block.

const std = @import("std");
const gemm = @import("../kernels/gemm.zig");
const reflectors = @import("reflectors.zig");
const Vectors = @import("vectors.zig").Vectors;

const block = reflectors.block;

/// Elements of work for A (m, n) and a Q of `width` columns: a copy of A, the reflectors, theirs.
pub fn workSize(m: usize, n: usize, width: usize) usize {
    const count = @min(m, n);
    return m * n + count * m + count + reflectors.workSize(@max(n, width));
}

/// Fills q (m, width) and r (width, n) from `a`, whose copy begins `work`; width is min(m, n), or m
/// for a square Q.
pub fn factor(
    comptime T: type,
    extent: struct { m: usize, n: usize, width: usize },
    out: struct { q: []T, r: []T },
    work: []T,
    scratch: []align(64) u8,
) void {
    const m = extent.m;
    const n = extent.n;
    const count = @min(m, n);
    const a = work[0 .. m * n];
    const v = work[m * n ..][0 .. count * m];
    const tau = work[m * n + count * m ..][0..count];
    const rest = work[m * n + count * m + count ..];
    reduce(T, .{ .m = m, .n = n }, .{ .a = a, .v = v, .tau = tau }, rest, scratch);
    for (0..extent.width) |i| {
        for (out.r[i * n ..][0..n], 0..) |*x, j| x.* = if (j >= i) a[i * n + j] else 0;
    }
    const q = gemm.Matrix(T).rowMajor(out.q.ptr, extent.width);
    reflectors.identity(T, q, m, extent.width);
    const all: reflectors.Reflectors(T) = .{ .v = v, .tau = tau, .length = m };
    all.apply(q, .{
        .columns = extent.width,
        .first = 0,
        .order = .forward,
        .identity = true,
        .work = rest,
        .scratch = scratch,
    });
}

/// `a` becomes R on and above its diagonal; v (min(m, n), m) and tau the reflectors of Q.
pub fn reduce(
    comptime T: type,
    extent: struct { m: usize, n: usize },
    to: struct { a: []T, v: []T, tau: []T },
    work: []T,
    scratch: []align(64) u8,
) void {
    const m = extent.m;
    const n = extent.n;
    const whole = gemm.Matrix(T).rowMajor(to.a.ptr, n);
    var start: usize = 0;
    while (start < to.tau.len) : (start += block) {
        const end = @min(to.tau.len, start + block);
        // The panel's columns become rows of v, where they turn into reflectors one by one.
        for (start..end) |j| {
            const column = to.v[j * m ..][0..m];
            @memset(column[0..start], 0);
            for (start..m) |i| column[i] = to.a[i * n + j];
        }
        for (start..end) |j| {
            const column = to.v[j * m ..][0..m];
            for (column[start..j], start..) |*x, i| {
                to.a[i * n + j] = x.*;
                x.* = 0;
            }
            const made = Vectors(T).reflector(column[j..]);
            to.a[j * n + j] = made.beta;
            to.tau[j] = made.tau;
            for (j + 1..end) |other| {
                const x = to.v[other * m + j .. (other + 1) * m];
                const along = Vectors(T).dot(x, column.ptr + j);
                Vectors(T).addScaled(x, -made.tau * along, column.ptr + j);
            }
        }
        const part: reflectors.Reflectors(T) = .{
            .v = to.v[start * m .. end * m],
            .tau = to.tau[start..end],
            .length = m,
        };
        part.apply(whole.from(0, end), .{
            .columns = n - end,
            .first = start,
            .order = .backward,
            .work = work,
            .scratch = scratch,
        });
    }
}
