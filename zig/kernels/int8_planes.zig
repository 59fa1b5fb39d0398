//! The part of int8_matmul for one token on VNNI: the activations as two planes of bytes,
//! x = 256 * high + low, so that weights, as w + 128, are the unsigned operand of the dot product
//! and need no widening:
//! sum(x * w) = 256 * sum(high * (w + 128)) + sum(low * (w + 128)) - 128 * sum(x).
//!
//! Sums wrap in i32 on the way; the result fits, so it is exact.

/// Neighbouring vectors take turns, so that a sum does not wait for itself.
const turns = 2;

/// One token's activations, split for the dot product `D` of a level.
pub fn Planes(comptime D: type) type {
    return struct {
        const Self = @This();
        const size = 4 * D.lanes;

        x: []const i16, // (columns)
        high: []const i8, // (columns)
        low: []const i8, // (columns)
        /// What the 128 added to each weight of the whole vectors comes to.
        surplus: i32,

        /// Null where the activations do not fit two planes, or the planes the scratch.
        pub fn split(x: []const i16, scratch: []u8) ?Self {
            if (2 * x.len > scratch.len) return null;
            const high: []i8 = @ptrCast(scratch[0..x.len]);
            const low: []i8 = @ptrCast(scratch[x.len..][0..x.len]);
            var sum: i32 = 0;
            for (x, high, low, 0..) |value, *h, *l, column| {
                l.* = @truncate(value);
                const rest = (@as(i32, value) - l.*) >> 8;
                if (rest > 127) return null;
                h.* = @intCast(rest);
                if (column < x.len / size * size) sum +%= value;
            }
            return .{ .x = x, .high = high, .low = low, .surplus = 128 *% sum };
        }

        /// sum(x * w) over a row of weights.
        pub fn dot(planes: *const Self, w: []const i8) i32 {
            var high: [turns]D.Sums = @splat(@splat(0));
            var low: [turns]D.Sums = @splat(@splat(0));
            var column: usize = 0;
            while (column + turns * size <= w.len) {
                inline for (&high, &low) |*h, *l| {
                    planes.add(h, l, w, column);
                    column += size;
                }
            }
            while (column + size <= w.len) : (column += size) {
                planes.add(&high[0], &low[0], w, column);
            }
            const weight_of_high: D.Sums = @splat(256);
            const sums = (high[0] +% high[1]) *% weight_of_high +% low[0] +% low[1];
            var sum = @reduce(.Add, D.total(sums)) -% planes.surplus;
            for (w[column..], planes.x[column..]) |weight, value| {
                sum +%= @as(i32, weight) * value;
            }
            return sum;
        }

        inline fn add(
            planes: *const Self,
            high: *D.Sums,
            low: *D.Sums,
            w: []const i8,
            column: usize,
        ) void {
            const flip: @Vector(size, u8) = @splat(0x80);
            const bytes: @Vector(size, u8) = @bitCast(w[column..][0..size].*);
            const codes: D.Word = @bitCast(bytes ^ flip);
            high.* = D.add(high.*, codes, word(planes.high[column..]));
            low.* = D.add(low.*, codes, word(planes.low[column..]));
        }

        inline fn word(plane: []const i8) D.Word {
            return @bitCast(@as(@Vector(size, i8), plane[0..size].*));
        }
    };
}
