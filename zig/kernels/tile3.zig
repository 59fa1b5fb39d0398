//! tile3, five ternary weights a byte: what a byte stands for, and its decoding in registers.
//!
//! A byte decodes to a tile2 byte, four codes of two bits, and a fifth code. With codes g0..g4,
//! c = g0 + 3 g1 + 9 g3 (0..26) and r = 3 (c - 16) + g2, the byte is
//!   c < 16:  64 g4 + 16 g2 + c          c > 15, r < 16:   64 g4 + 48 + r
//!   16 <= r < 32:  192 + 16 g4 + r - 16        r = 32:   240 + g4
//! Bytes above 242 do not occur. So the fifth code is the two highest bits unless both are set, and
//! the four codes are functions of the low six bits, of which there are two; both are tables where
//! 64 bytes can be looked up at once. By nibbles: the low one looks up four codes in one of three
//! tables, and the high one says in which. Format: docs/formats/tile3.md.

const std = @import("std");
const builtin = @import("builtin");

/// What a byte stands for.
pub const Decoded = struct { four: u8, fifth: u8 };

/// The byte of five codes.
pub fn encode(codes: [5]u8) u8 {
    const c = codes[0] + 3 * codes[1] + 9 * codes[3];
    if (c < 16) return codes[4] << 6 | codes[2] << 4 | c;
    const rest = 3 * (c - 16) + codes[2];
    if (rest < 16) return codes[4] << 6 | 0x30 | rest;
    if (rest < 32) return 0xc0 | codes[4] << 4 | (rest - 16);
    return 0xf0 | codes[4];
}

/// `encode` for words of four bytes each, side by side.
pub inline fn encodeWords(
    comptime count: usize,
    codes: [5]@Vector(count, u32),
) @Vector(count, u32) {
    const Words = @Vector(count, u32);
    const Bytes = @Vector(4 * count, u8);
    const sixteen: Bytes = @splat(16);
    // No code leaves its byte: the largest shifted is 2 << 6.
    const g: [5]Bytes = .{
        @bitCast(codes[0]),
        @bitCast(codes[1]),
        @bitCast(codes[2]),
        @bitCast(codes[3]),
        @bitCast(codes[4]),
    };
    const eight_g3: Bytes = @bitCast(codes[3] << @as(Words, @splat(3)));
    const upper: Bytes = @bitCast(codes[4] << @as(Words, @splat(6)));
    const c = g[0] +% (g[1] +% g[1]) +% (g[1] +% g[3]) +% eight_g3;
    const above = c -% sixteen;
    const rest = above +% (above +% above) +% g[2];
    const third: Bytes = @bitCast(codes[2] << @as(Words, @splat(4)));
    const fifth: Bytes = @bitCast(codes[4] << @as(Words, @splat(4)));
    const regular = upper | third | c;
    const low_rest = upper | @as(Bytes, @splat(0x30)) | rest;
    const high_rest = @as(Bytes, @splat(0xc0)) | fifth | (rest -% sixteen);
    const last = @as(Bytes, @splat(0xf0)) | g[4];
    const upto_last = @select(u8, rest < @as(Bytes, @splat(32)), high_rest, last);
    const irregular = @select(u8, rest < sixteen, low_rest, upto_last);
    return @bitCast(@select(u8, c < sixteen, regular, irregular));
}

/// The definition; bytes that do not occur stand for anything.
pub fn decode(byte: u8) Decoded {
    const high = byte >> 6;
    const middle = byte >> 4 & 3;
    const low = byte & 15;
    if (high == 3 and middle == 3) return .{ .four = 0xaa, .fifth = low & 3 };
    if (high == 3) return .{ .four = rest_codes[16 + low], .fifth = middle };
    if (middle == 3) return .{ .four = rest_codes[low], .fifth = high };
    return .{ .four = regularCodes(low) | middle << 4, .fifth = high };
}

/// The first, second and fourth code.
fn regularCodes(c: u8) u8 {
    return c % 3 | (c / 3 % 3) << 2 | (c / 9) << 6;
}

const rest_codes: [32]u8 = blk: {
    var codes: [32]u8 = undefined;
    for (&codes, 0..) |*four, rest| four.* = regularCodes(16 + rest / 3) | (rest % 3) << 4;
    break :blk codes;
};

/// The decoding of vectors of words at a level of dot.zig.
pub fn Decoder(comptime D: type) type {
    return switch (D.lookup) {
        .none => OneByOne(D),
        .sixteen => ByNibbles(D),
        .sixty_four => BySixBits(D),
    };
}

/// Loops over bytes.
fn OneByOne(comptime D: type) type {
    return struct {
        /// Where the two bits of a fifth code lie in its byte.
        pub const fifth_bit = 0;
        /// Registers that tables take.
        pub const registers = 0;

        const table: [256]Decoded = blk: {
            @setEvalBranchQuota(20_000);
            var all: [256]Decoded = undefined;
            for (&all, 0..) |*decoded, byte| decoded.* = decode(byte);
            break :blk all;
        };

        pub inline fn open(word: D.Word) Opened(D) {
            const bytes: [4 * D.lanes]u8 = @bitCast(word);
            var four: [4 * D.lanes]u8 = undefined;
            var fifth: [4 * D.lanes]u8 = undefined;
            for (bytes, &four, &fifth) |byte, *f, *g| {
                f.* = table[byte].four;
                g.* = table[byte].fifth;
            }
            return .{ .four = @bitCast(four), .fifth = @bitCast(fifth) };
        }
    };
}

/// Decoded words: tile2 words, and words of fifth codes.
pub fn Opened(comptime D: type) type {
    return struct { four: D.Word, fifth: D.Word };
}

/// With tables of 64 bytes.
fn BySixBits(comptime D: type) type {
    return struct {
        pub const fifth_bit = if (is_x86) 6 else 0;
        pub const registers = if (is_x86) 3 else 12;

        const is_x86 = builtin.cpu.arch == .x86_64;
        const Bytes = @Vector(4 * D.lanes, u8);

        const four_low = tableOf(0x00, .four);
        const four_high = tableOf(0xc0, .four);
        const fifth_high = tableOf(0xc0, .fifth);

        fn tableOf(first: u8, comptime part: std.meta.FieldEnum(Decoded)) [64]u8 {
            @setEvalBranchQuota(20_000);
            var table: [64]u8 = undefined;
            for (&table, first..) |*entry, byte| {
                const value = @field(decode(byte), @tagName(part));
                entry.* = if (part == .fifth) value << fifth_bit else value;
            }
            return table;
        }

        pub inline fn open(word: D.Word) Opened(D) {
            const bytes: Bytes = @bitCast(word);
            const top: Bytes = @splat(0xc0);
            if (is_x86) {
                // Only the low six bits of an index count.
                const is_high = bytes >= top;
                const low = @"llvm.x86.avx512.permvar.qi.512"(four_low, bytes);
                const high = @"llvm.x86.avx512.permvar.qi.512"(four_high, bytes);
                const fifth = @"llvm.x86.avx512.permvar.qi.512"(fifth_high, bytes);
                return .{
                    .four = @bitCast(@select(u8, is_high, high, low)),
                    .fifth = @bitCast(@select(u8, is_high, fifth, bytes & top)),
                };
            }
            // An index past the table gives 0, or keeps what was there.
            const low = look(null, four_low, bytes & ~top);
            const rest = bytes -% top;
            return .{
                .four = @bitCast(look(low, four_high, rest)),
                .fifth = @bitCast(look(bytes >> @splat(6), fifth_high, rest)),
            };
        }

        inline fn look(fallback: ?Bytes, table: [64]u8, index: Bytes) Bytes {
            const t: [4]Bytes = @bitCast(table);
            if (fallback) |kept| {
                return @"llvm.aarch64.neon.tbx4.v16i8"(kept, t[0], t[1], t[2], t[3], index);
            }
            return @"llvm.aarch64.neon.tbl4.v16i8"(t[0], t[1], t[2], t[3], index);
        }
    };
}

/// With tables of 16 bytes, in which an index with its highest bit set finds 0.
fn ByNibbles(comptime D: type) type {
    return struct {
        pub const fifth_bit = 0;
        /// They are loaded again where registers are few.
        pub const registers = if (D.registers == 32) 9 else 0;

        const size = 4 * D.lanes;
        const Bytes = @Vector(size, u8);
        const Table = [16]u8;

        pub inline fn open(word: D.Word) Opened(D) {
            const bytes: Bytes = @bitCast(word);
            const low = bytes & @as(Bytes, @splat(15));
            const high = bytes >> @splat(4);
            const regular = look(regular_codes, low | look(unless_regular, high));
            const first = look(rest_codes[0..16].*, low | look(unless_first, high));
            const second = look(rest_codes[16..32].*, low | look(unless_second, high));
            return .{
                .four = @bitCast((regular | look(third_codes, high)) | (first | second)),
                .fifth = @bitCast(look(fifth_codes, high) | (low & look(last_masks, high))),
            };
        }

        const regular_codes: Table = tableOf(regularCodes);
        /// The third code where the byte holds it by itself, and all four of the last bytes.
        const third_codes: Table = tableOf(thirdCode);
        const fifth_codes: Table = tableOf(fifthCode);
        const last_masks: Table = tableOf(lastMask);
        const unless_regular: Table = tableOf(unless(isRegular));
        const unless_first: Table = tableOf(unless(isFirst));
        const unless_second: Table = tableOf(unless(isSecond));

        fn tableOf(comptime entryOf: fn (u8) u8) Table {
            var table: Table = undefined;
            for (&table, 0..) |*entry, index| entry.* = entryOf(index);
            return table;
        }

        /// What makes an index find 0 unless its byte is of a kind.
        fn unless(comptime holds: fn (u8) bool) fn (u8) u8 {
            return struct {
                fn entryOf(high: u8) u8 {
                    return if (holds(high)) 0 else 0x80;
                }
            }.entryOf;
        }

        fn isRegular(high: u8) bool {
            return high >> 2 < 3 and high & 3 < 3;
        }

        fn isFirst(high: u8) bool {
            return high >> 2 < 3 and high & 3 == 3;
        }

        fn isSecond(high: u8) bool {
            return high >> 2 == 3 and high & 3 < 3;
        }

        fn thirdCode(high: u8) u8 {
            if (high == 15) return 0xaa;
            return if (isRegular(high)) (high & 3) << 4 else 0;
        }

        fn fifthCode(high: u8) u8 {
            if (high == 15) return 0;
            return if (isSecond(high)) high & 3 else high >> 2;
        }

        fn lastMask(high: u8) u8 {
            return if (high == 15) 3 else 0;
        }

        inline fn look(comptime table: Table, index: Bytes) Bytes {
            const spread: Bytes = comptime @bitCast(@as([size / 16]Table, @splat(table)));
            return switch (size) {
                16 => @"llvm.x86.ssse3.pshuf.b.128"(spread, index),
                32 => @"llvm.x86.avx2.pshuf.b"(spread, index),
                64 => @"llvm.x86.avx512.pshuf.b.512"(spread, index),
                else => comptime unreachable,
            };
        }
    };
}

extern fn @"llvm.x86.avx512.permvar.qi.512"(@Vector(64, u8), @Vector(64, u8)) @Vector(64, u8);
extern fn @"llvm.x86.ssse3.pshuf.b.128"(@Vector(16, u8), @Vector(16, u8)) @Vector(16, u8);
extern fn @"llvm.x86.avx2.pshuf.b"(@Vector(32, u8), @Vector(32, u8)) @Vector(32, u8);
extern fn @"llvm.x86.avx512.pshuf.b.512"(@Vector(64, u8), @Vector(64, u8)) @Vector(64, u8);
extern fn @"llvm.aarch64.neon.tbl4.v16i8"(
    @Vector(16, u8),
    @Vector(16, u8),
    @Vector(16, u8),
    @Vector(16, u8),
    @Vector(16, u8),
) @Vector(16, u8);
extern fn @"llvm.aarch64.neon.tbx4.v16i8"(
    @Vector(16, u8),
    @Vector(16, u8),
    @Vector(16, u8),
    @Vector(16, u8),
    @Vector(16, u8),
    @Vector(16, u8),
) @Vector(16, u8);

test "encode: the 243 combinations have 243 bytes, which decode to them" {
    var seen: [256]bool = @splat(false);
    for (0..243) |combination| {
        var codes: [5]u8 = undefined;
        var left = combination;
        for (&codes) |*code| {
            code.* = @intCast(left % 3);
            left /= 3;
        }
        const byte = encode(codes);
        try std.testing.expect(byte < 243 and !seen[byte]);
        seen[byte] = true;
        var words: [5]@Vector(2, u32) = undefined;
        for (&words, codes) |*word, code| word.* = @splat(@as(u32, code) * 0x01010101);
        const bytes: [8]u8 = @bitCast(encodeWords(2, words));
        try std.testing.expectEqual(@as([8]u8, @splat(byte)), bytes);
        const four = codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6;
        try std.testing.expectEqual(Decoded{ .four = four, .fifth = codes[4] }, decode(byte));
    }
}

const dot = @import("dot.zig");

test "Decoder: every level decodes every byte in every place" {
    inline for (comptime std.enums.values(dot.Level)) |level| if (comptime dot.runs(level)) {
        const D = dot.Ternary(level);
        const Levels = Decoder(D);
        const size = 4 * D.lanes;
        for (0..243) |first| {
            var bytes: [size]u8 = undefined;
            for (&bytes, first..) |*byte, value| byte.* = @intCast(value % 243);
            const opened = Levels.open(@bitCast(bytes));
            const four: [size]u8 = @bitCast(opened.four);
            const fifth: [size]u8 = @bitCast(opened.fifth);
            for (bytes, four, fifth) |byte, f, g| {
                try std.testing.expectEqual(decode(byte).four, f);
                try std.testing.expectEqual(decode(byte).fifth, g >> Levels.fifth_bit);
                try std.testing.expectEqual(g, decode(byte).fifth << Levels.fifth_bit);
            }
        }
    };
}
