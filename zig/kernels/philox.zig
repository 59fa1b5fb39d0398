//! Philox 4x32-10: ten rounds that turn a 128-bit counter and a 64-bit key into 128 random bits.
//!
//! There is no state to carry: the word drawn for (seed, sequence, step) is the same alone, in any
//! batch and on any thread. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011; the known answers below are those of the Random123 library.

const std = @import("std");

const multiplier = [2]u32{ 0xd251_1f53, 0xcd9e_8d57 };
const key_step = [2]u32{ 0x9e37_79b9, 0xbb67_ae85 };
const round_count = 10;

/// The 128 random bits that belong to `counter` under `key`.
pub fn block(counter: [4]u32, key: [2]u32) [4]u32 {
    var x = counter;
    var k = key;
    for (0..round_count) |_| {
        const a = @as(u64, multiplier[0]) * x[0];
        const b = @as(u64, multiplier[1]) * x[2];
        x = .{
            high(b) ^ x[1] ^ k[0],
            @truncate(b),
            high(a) ^ x[3] ^ k[1],
            @truncate(a),
        };
        k = .{ k[0] +% key_step[0], k[1] +% key_step[1] };
    }
    return x;
}

/// A multiple of 2^-53 in [0, 1) from the first two words of a block.
pub fn uniform(words: [4]u32) f64 {
    const bits = @as(u64, words[0] >> 5) << 26 | words[1] >> 6;
    return @as(f64, @floatFromInt(bits)) * 0x1p-53;
}

fn high(product: u64) u32 {
    return @truncate(product >> 32);
}

test "philox: known answers of Random123" {
    const cases = [_]struct { counter: [4]u32, key: [2]u32, want: [4]u32 }{
        .{
            .counter = @splat(0),
            .key = @splat(0),
            .want = .{ 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        },
        .{
            .counter = @splat(0xffff_ffff),
            .key = @splat(0xffff_ffff),
            .want = .{ 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        },
        .{
            .counter = .{ 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
            .key = .{ 0xa4093822, 0x299f31d0 },
            .want = .{ 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 },
        },
    };
    for (cases) |case| {
        try std.testing.expectEqual(case.want, block(case.counter, case.key));
    }
}

test "philox: uniform covers [0, 1) and never reaches 1" {
    try std.testing.expectEqual(@as(f64, 0), uniform(@splat(0)));
    try std.testing.expectEqual(1 - 0x1p-53, uniform(@splat(0xffff_ffff)));
    var sum: f64 = 0;
    for (0..10_000) |i| sum += uniform(block(.{ @intCast(i), 0, 0, 0 }, .{ 1, 2 }));
    try std.testing.expectApproxEqAbs(5000, sum, 173); // six standard deviations
}
