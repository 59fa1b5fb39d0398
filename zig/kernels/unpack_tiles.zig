//! Tiles of ternary weights read by rows: what unpack_ternary takes `tile2` and `tile3` apart with.
//! Scales lie beside tiles, not in them. Formats: docs/formats/tile2.md and tile3.md.

const tile3_codes = @import("tile3.zig");
const tiles = @import("ternary_tiles.zig");
const View = @import("task.zig").View;

pub fn TileRows(comptime packing: tiles.Packing) type {
    return struct {
        w: *const View,

        const width = packing.columns();

        /// Codes (weight + 1) of a part of a row.
        pub fn read(rows: @This(), row: usize, column: usize, codes: []u8) void {
            const across = packing.tilesAcross(rows.w.dims[1]);
            const first = row / tiles.block_rows * across;
            var done: usize = 0;
            while (done < codes.len) {
                const at = column + done;
                const tile = (first + at / width) * tiles.tile_size;
                const opened = open(rows.w.data[tile + row % tiles.block_rows * 4 ..][0..4]);
                const count = @min(width - at % width, codes.len - done);
                @memcpy(codes[done..][0..count], opened[at % width ..][0..count]);
                done += count;
            }
        }

        pub fn scale(_: @This(), _: usize) f32 {
            return 1;
        }

        /// A row of a tile: the codes of columns j, 4 + j, 8 + j, ... lie in byte j.
        fn open(bytes: *const [4]u8) [width]u8 {
            var codes: [width]u8 = undefined;
            for (bytes, 0..) |byte, j| {
                const decoded: tile3_codes.Decoded = switch (packing) {
                    .tile2 => .{ .four = byte, .fifth = 0 },
                    .tile3 => tile3_codes.decode(byte),
                };
                inline for (0..4) |group| codes[4 * group + j] = decoded.four >> (2 * group) & 3;
                if (packing == .tile3) codes[16 + j] = decoded.fifth;
            }
            return codes;
        }
    };
}
