//! Ternary codes in packings whose size depends on them. Run-length: code w + 1 in bits 0-1,
//! length - 1 in bits 2-7. Sparse: the zeros before a weight in bits 0-6 and its sign in bit 7;
//! byte 127 is 127 zeros alone. Each returns the place of a byte that packing does not make, null
//! when there is none.

/// A gap that is no weight's.
const gap_max = 127;

pub fn unpackRuns(bytes: []const u8, codes: []i8) ?usize {
    var at: usize = 0;
    for (bytes, 0..) |byte, index| {
        const length = @as(usize, byte >> 2) + 1;
        if (byte & 3 == 3 or length > codes.len - at) return index;
        @memset(codes[at..][0..length], @as(i8, @intCast(byte & 3)) - 1);
        at += length;
    }
    return if (at == codes.len) null else bytes.len;
}

pub fn unpackSparse(bytes: []const u8, codes: []i8) ?usize {
    @memset(codes, 0);
    var at: usize = 0;
    for (bytes, 0..) |byte, index| {
        at += byte & gap_max;
        if (byte == gap_max) continue;
        if (byte == gap_max | 0x80 or at >= codes.len) return index;
        codes[at] = if (byte & 0x80 != 0) -1 else 1;
        at += 1;
    }
    return if (at <= codes.len) null else bytes.len;
}
