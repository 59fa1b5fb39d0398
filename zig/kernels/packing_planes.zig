//! Ternary codes that lie in bytes by planes: with d weights a byte, a block of q bytes (64, fewer
//! at the end) holds weights m, q + m, 2 q + m, ... in byte m. Two bits each (d = 4) from the
//! lowest up, or five base-3 digits (d = 5), the first the carry of byte * 3. Each returns the
//! place of a byte that packing does not make, null when there is none.

const std = @import("std");
const root = @import("root");

/// The scalar level reads byte by byte.
const force_scalar = @hasDecl(root, "bn_force_scalar") and root.bn_force_scalar;

pub const block_bytes = 64;
const Bytes = @Vector(block_bytes, u8);
const Codes = @Vector(block_bytes, i8);

/// A sequence of codes that begins at a block; `bytes` may go on behind it.
pub fn unpack(comptime per_byte: usize, bytes: []const u8, codes: []i8) ?usize {
    const block_codes = block_bytes * per_byte;
    var at: usize = 0;
    var done: usize = 0;
    while (codes.len - done >= block_codes) {
        const source = bytes[at..][0..block_bytes];
        const target = codes[done..][0..block_codes];
        const is_sound = if (force_scalar)
            unpackPlain(per_byte, source, target)
        else
            unpackBlock(per_byte, source, target);
        if (!is_sound) return at;
        at += block_bytes;
        done += block_codes;
    }
    const left = codes.len - done;
    const width = (left + per_byte - 1) / per_byte;
    return if (unpackPlain(per_byte, bytes[at..][0..width], codes[done..])) null else at;
}

/// Codes as they are.
pub fn copy(bytes: []const u8, codes: []i8) ?usize {
    var at: usize = 0;
    if (!force_scalar) {
        const one: Codes = @splat(1);
        while (at + block_bytes <= bytes.len) : (at += block_bytes) {
            const block: Codes = @bitCast(@as(Bytes, bytes[at..][0..block_bytes].*));
            codes[at..][0..block_bytes].* = block;
            if (@reduce(.Or, (block > one)) or @reduce(.Or, (block < -one))) return at;
        }
    }
    for (bytes[at..], codes[at..], at..) |byte, *code, index| {
        code.* = @bitCast(byte);
        if (code.* < -1 or code.* > 1) return index;
    }
    return null;
}

/// A whole block; its planes are as wide as a vector.
fn unpackBlock(
    comptime per_byte: usize,
    source: *const [block_bytes]u8,
    target: *[block_bytes * per_byte]i8,
) bool {
    return if (per_byte == 4) unpackPairs(source, target) else unpackDigits(source, target);
}

fn unpackPairs(source: *const [block_bytes]u8, target: *[block_bytes * 4]i8) bool {
    const bytes: Bytes = source.*;
    const three: Bytes = @splat(3);
    inline for (0..4) |plane| {
        const pairs: Codes = @bitCast(bytes >> @splat(2 * plane) & three);
        target[plane * block_bytes ..][0..block_bytes].* = pairs - @as(Codes, @splat(1));
    }
    const both = bytes & bytes >> @splat(1) & @as(Bytes, @splat(0x55));
    return @reduce(.Or, both) == 0;
}

fn unpackDigits(source: *const [block_bytes]u8, target: *[block_bytes * 5]i8) bool {
    const bytes: Bytes = source.*;
    var rest = bytes;
    inline for (0..5) |plane| {
        // floor(3 r / 256) without wider lanes: 3 r overflows once past 85, twice past 170.
        const one: Bytes = @splat(1);
        const zero: Bytes = @splat(0);
        const digit = @select(u8, rest > @as(Bytes, @splat(85)), one, zero) +
            @select(u8, rest > @as(Bytes, @splat(170)), one, zero);
        const codes: Codes = @bitCast(digit);
        target[plane * block_bytes ..][0..block_bytes].* = codes - @as(Codes, @splat(1));
        rest = rest +% rest +% rest;
    }
    // The fraction lies at or above its number by less than 1 / 243: what is left times 3^5 / 256
    // is below the step only for bytes that stand for a number.
    return @reduce(.And, rest < @as(Bytes, @splat(243)));
}

/// Byte by byte, for blocks of any width; places past the end must hold code 0.
fn unpackPlain(comptime per_byte: usize, source: []const u8, target: []i8) bool {
    const width = source.len;
    for (source, 0..) |byte, m| {
        if (per_byte == 5 and !isDigits(byte)) return false;
        var rest = byte;
        inline for (0..per_byte) |plane| {
            const code = if (per_byte == 4) rest & 3 else @as(u16, rest) * 3 >> 8;
            rest = if (per_byte == 4) rest >> 2 else rest *% 3;
            const place = plane * width + m;
            if (code == 3) return false;
            if (place < target.len) {
                target[place] = @as(i8, @intCast(code)) - 1;
            } else if (code != 0) return false;
        }
    }
    return true;
}

/// Whether the byte is ceil(n 256 / 243) of a number n below 243.
fn isDigits(byte: u8) bool {
    const number = @as(u16, byte) * 243 >> 8;
    return (number * 256 + 242) / 243 == byte;
}

test "packing_planes: the bytes of base 3 are told from the thirteen others" {
    var sound: usize = 0;
    for (0..256) |value| {
        const block: [block_bytes]u8 = @splat(@intCast(value));
        var codes: [block_bytes * 5]i8 = undefined;
        const is_sound = isDigits(@intCast(value));
        try std.testing.expectEqual(is_sound, unpackDigits(&block, &codes));
        if (!is_sound) continue;
        sound += 1;
        var number: usize = 0;
        for (0..5) |plane| {
            number = 3 * number + @as(usize, @intCast(codes[plane * block_bytes] + 1));
        }
        try std.testing.expectEqual(value, (number * 256 + 242) / 243);
    }
    try std.testing.expectEqual(243, sound);
}
