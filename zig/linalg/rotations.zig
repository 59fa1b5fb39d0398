//! Plane rotations of neighbouring rows, put by and applied many at a time: columns of the rotated
//! matrix are taken through all of them in strips that stay near, two sweeps of rotations in one
//! pass over the rows.
//! Source: Van Zee, van de Geijn and Quintana-Orti, Restructuring the tridiagonal and bidiagonal QR
//! algorithms for performance (2014).

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
                self.rotateStrip(.{ .data = packed_rows });
                for (0..row_count) |i| {
                    const to = self.rows[i * self.width + start ..][0..strip];
                    @memcpy(to, packed_rows[i * strip ..][0..strip]);
                }
            }
            if (start < self.width) self.rotateRest(start);
            self.count = 0;
        }

        /// Rotations that follow each other in the list and go down a row each time.
        const Run = struct {
            start: usize,
            end: usize,
            /// The upper row of the first one.
            row: usize,

            fn len(run: Run) usize {
                return run.end - run.start;
            }
        };

        fn runFrom(self: *const Self, start: usize) Run {
            var end = start;
            while (end < self.count) {
                end += 1;
                if (end == self.count or self.at[end] != self.at[end - 1] + 1) break;
            }
            const row: usize = if (start < self.count) @intFromFloat(self.at[start]) else 0;
            return .{ .start = start, .end = end, .row = row };
        }

        fn rotateStrip(self: *const Self, rows: Strip) void {
            var at: usize = 0;
            while (at < self.count) {
                const run = self.runFrom(at);
                const next = self.runFrom(run.end);
                const follows = next.len() > 0 and
                    run.row <= next.row and next.row < run.row + run.len();
                at = if (follows) next.end else run.end;
                if (follows) self.rotatePair(rows, run, next) else {
                    self.rotateRun(rows, run, rows.load(run.row));
                }
            }
        }

        /// One run; the lower row of a rotation stays in registers, as the upper one of the next.
        fn rotateRun(self: *const Self, rows: Strip, run: Run, first: Row) void {
            var upper = first;
            for (run.start..run.end, run.row..) |k, i| upper = self.rotate(rows, k, i, upper);
            rows.store(run.row + run.len(), upper);
        }

        /// Two runs, the second a row behind the first: a row is read and written once for both.
        fn rotatePair(self: *const Self, rows: Strip, first: Run, second: Run) void {
            var upper = rows.load(first.row);
            var i = first.row;
            var k = first.start;
            while (i <= second.row) : (i += 1) {
                upper = self.rotate(rows, k, i, upper);
                k += 1;
            }
            var behind = rows.load(second.row);
            var m = second.start;
            while (k < first.end and m < second.end) : (i += 1) {
                const middle, upper = self.turned(k, upper, rows.load(i + 1));
                const above, behind = self.turned(m, behind, middle);
                rows.store(i - 1, above);
                k += 1;
                m += 1;
            }
            if (m == second.end) {
                rows.store(i - 1, behind);
                self.rotateRun(rows, .{ .start = k, .end = first.end, .row = i }, upper);
            } else {
                rows.store(i, upper);
                self.rotateRun(rows, .{ .start = m, .end = second.end, .row = i - 1 }, behind);
            }
        }

        /// Rotation k of rows i, which is given, and i + 1, which is what remains.
        inline fn rotate(self: *const Self, rows: Strip, k: usize, i: usize, upper: Row) Row {
            const above, const below = self.turned(k, upper, rows.load(i + 1));
            rows.store(i, above);
            return below;
        }

        inline fn turned(self: *const Self, k: usize, upper: Row, lower: Row) [2]Row {
            const c: Math.V = @splat(self.c[k]);
            const s: Math.V = @splat(self.s[k]);
            var above: Row = undefined;
            var below: Row = undefined;
            inline for (upper, lower, &above, &below) |x, y, *a, *b| {
                a.* = Math.fma(c, x, s * y);
                b.* = Math.fma(-s, x, c * y);
            }
            return .{ above, below };
        }

        const Row = [strip / 16]Math.V;

        /// Columns of the rotated matrix, row by row.
        const Strip = struct {
            data: [*]T,

            inline fn load(rows: Strip, i: usize) Row {
                var row: Row = undefined;
                inline for (&row, 0..) |*part, index| {
                    part.* = Math.load(rows.data + i * strip + 16 * index);
                }
                return row;
            }

            inline fn store(rows: Strip, i: usize, row: Row) void {
                inline for (row, 0..) |part, index| {
                    Math.store(rows.data + i * strip + 16 * index, part);
                }
            }
        };

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

test "flush: any runs of rotations, in pairs or alone, are what one after the other is" {
    const gpa = std.testing.allocator;
    const row_count = 12;
    const width = strip + 5;
    var random = std.Random.DefaultPrng.init(7);
    const draw = random.random();
    const work = try gpa.alloc(f64, workSize(row_count));
    defer gpa.free(work);
    const scratch = try gpa.alignedAlloc(u8, .@"64", row_count * strip * @sizeOf(f64));
    defer gpa.free(scratch);
    for (0..200) |_| {
        var rows: [row_count * width]f64 = undefined;
        for (&rows) |*x| x.* = draw.floatNorm(f64);
        var want = rows;
        var list = Rotations(f64).init(&rows, width, work, scratch);
        for (0..1 + draw.uintLessThan(usize, 6)) |_| {
            const start = draw.uintLessThan(usize, row_count - 1);
            const end = start + 1 + draw.uintLessThan(usize, row_count - 1 - start);
            for (start..end) |i| {
                const angle = draw.float(f64);
                list.add(i, @cos(angle), @sin(angle));
                for (0..width) |column| {
                    const upper = &want[i * width + column];
                    const lower = &want[(i + 1) * width + column];
                    const old = upper.*;
                    upper.* = @cos(angle) * old + @sin(angle) * lower.*;
                    lower.* = @cos(angle) * lower.* - @sin(angle) * old;
                }
            }
        }
        list.flush();
        for (want, rows) |a, b| try std.testing.expectApproxEqAbs(a, b, 1e-13);
    }
}
