//! How products cut their operands into blocks that suit a machine's caches: as measured there, or
//! the defaults. A run has the sizes that stood when it began. They change speed and never a bit of
//! a result; slices of a dense product's k round apart, so those are no matter of choice.

const std = @import("std");

pub const BlockSizes = extern struct {
    /// Columns of ternary weights that are unpacked at a time for many tokens.
    ternary_columns: u32 = 4096,
    /// Bytes of activations and sums that such a product keeps at a time, as scratch allows.
    ternary_size: u32 = 2 << 20,
    /// Columns of B that a dense product packs at a time, as scratch allows.
    dense_columns: u32 = 1 << 16,

    const least: BlockSizes = .{
        .ternary_columns = 256,
        .ternary_size = 64 << 10,
        .dense_columns = 32,
    };
    const most: BlockSizes = .{
        .ternary_columns = 8192,
        .ternary_size = 2 << 20,
        .dense_columns = 1 << 16,
    };

    /// With the default for each 0; null where one is out of range.
    pub fn checked(sizes: BlockSizes) ?BlockSizes {
        var result: BlockSizes = .{};
        inline for (@typeInfo(BlockSizes).@"struct".fields) |field| {
            const size = @field(sizes, field.name);
            if (size != 0) {
                if (size < @field(least, field.name)) return null;
                if (size > @field(most, field.name)) return null;
                @field(result, field.name) = size;
            }
        }
        return result;
    }
};

test "checked: 0 is the default, and what is out of range is refused" {
    const some: BlockSizes = .{ .ternary_columns = 1024, .ternary_size = 0, .dense_columns = 0 };
    const want: BlockSizes = .{ .ternary_columns = 1024 };
    try std.testing.expectEqual(want, some.checked().?);
    for ([_]u32{ 1, 255, 8193, std.math.maxInt(u32) }) |size| {
        const wrong: BlockSizes = .{ .ternary_columns = size };
        try std.testing.expectEqual(null, wrong.checked());
    }
}
