//! Plane rotations of neighbouring rows, put by and applied many at a time: columns of the rotated
//! matrix are taken through all of them in strips that stay in the first-level cache.

const std = @import("std");
const Vectors = @import("vectors.zig").Vectors;

/// Elements of a row in a strip.
const strip = 32;

/// Rotations put by before they are applied, by the rows of the matrix.
const sweeps = 32;

pub fn capacityFor(rows: usize) usize {
    return sweeps * @max(1, rows);
}

/// Elements of work for a list: cosine, sine and the row, which an f32 holds exactly up to 2^24.
pub fn workSize(rows: usize) usize {
    return 3 * capacityFor(rows);
}

pub fn Rotations(comptime T: type) type {
    return struct {
        const Math = Vectors(T);

        /// Rows of the matrix that is rotated; none where vectors are not wanted.
        rows: []T, // (count, width)
        width: usize,
        c: []T,
        s: []T,
        at: []T,
        count: usize = 0,
        scratch: []align(64) u8,

        const Self = @This();

        pub fn init(
            rows: []T,
            width: usize,
            work: []T,
            scratch: []align(64) u8,
        ) Self {
            const third = work.len / 3;
            return .{
                .rows = rows,
                .width = width,
                .c = work[0..third],
                .s = work[third..][0..third],
                .at = work[2 * third ..][0..third],
                .scratch = scratch,
            };
        }

        /// Row i becomes c i + s (i + 1), row i + 1 becomes c (i + 1) - s i.
        pub inline fn add(self: *Self, i: usize, c: T, s: T) void {
            if (self.rows.len == 0) return;
            if (self.count == self.c.len) self.flush();
            self.c[self.count] = c;
            self.s[self.count] = s;
            self.at[self.count] = @floatFromInt(i);
            self.count += 1;
        }

        pub fn flush(self: *Self) void {
            if (self.count == 0) return;
            const row_count = self.rows.len / self.width;
            const packed_rows: [*]T = @ptrCast(self.scratch.ptr);
            const fits = row_count * strip * @sizeOf(T) <= self.scratch.len;
            var start: usize = 0;
            while (fits and start + strip <= self.width) : (start += strip) {
                for (0..row_count) |i| {
                    const from = self.rows[i * self.width + start ..][0..strip];
                    @memcpy(packed_rows[i * strip ..][0..strip], from);
                }
                self.rotateStrip(packed_rows);
                for (0..row_count) |i| {
                    const to = self.rows[i * self.width + start ..][0..strip];
                    @memcpy(to, packed_rows[i * strip ..][0..strip]);
                }
            }
            if (start < self.width) self.rotateRest(start);
            self.count = 0;
        }

        fn rotateStrip(self: *const Self, rows: [*]T) void {
            for (self.c[0..self.count], self.s[0..self.count], self.at[0..self.count]) |c, s, i| {
                const upper = rows + @as(usize, @intFromFloat(i)) * strip;
                rotate(upper, upper + strip, .{ c, s });
            }
        }

        inline fn rotate(upper: [*]T, lower: [*]T, by: [2]T) void {
            const c: Math.V = @splat(by[0]);
            const s: Math.V = @splat(by[1]);
            inline for (0..strip / 16) |part| {
                const x = Math.load(upper + 16 * part);
                const y = Math.load(lower + 16 * part);
                Math.store(upper + 16 * part, Math.fma(c, x, s * y));
                Math.store(lower + 16 * part, Math.fma(c, y, -(s * x)));
            }
        }

        fn rotateRest(self: *const Self, start: usize) void {
            for (self.c[0..self.count], self.s[0..self.count], self.at[0..self.count]) |c, s, i| {
                const first = @as(usize, @intFromFloat(i)) * self.width;
                const upper = self.rows[first + start .. first + self.width];
                const lower = self.rows[first + self.width + start .. first + 2 * self.width];
                for (upper, lower) |*x, *y| {
                    const old = x.*;
                    x.* = c * old + s * y.*;
                    y.* = c * y.* - s * old;
                }
            }
        }
    };
}
