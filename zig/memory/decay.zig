//! How much free memory is worth keeping: as much as use has lately been above what it is now. The
//! remembered peak falls towards use with the time that passes, asked for once in many frees.

const std = @import("std");
const os = @import("../threads/os.zig");

const step_frees = 64;
const step_ns = 50 * std.time.ns_per_ms;
/// After about so long two thirds of the difference are forgotten.
const fall_ns = 3 * std.time.ns_per_s;

pub const Decay = struct {
    peak: u64 = 0,
    frees: u32 = 0,
    stepped_ns: u64 = 0,

    pub fn note(decay: *Decay, used: u64) void {
        decay.peak = @max(decay.peak, used);
    }

    /// After a free that leaves `used`.
    pub fn step(decay: *Decay, used: u64) void {
        decay.frees +%= 1;
        if (decay.frees % step_frees == 0) decay.fall(used, os.now());
    }

    /// Lets the peak fall by the time that has passed.
    pub fn fall(decay: *Decay, used: u64, now_ns: u64) void {
        if (decay.stepped_ns == 0) decay.stepped_ns = now_ns;
        const passed = now_ns - decay.stepped_ns;
        if (passed < step_ns) return;
        decay.stepped_ns = now_ns;
        const above = decay.peak - used;
        const fallen = @as(u128, above) * @min(passed, fall_ns) / fall_ns;
        decay.peak -= @intCast(fallen);
    }

    /// Free memory up to here is kept: a little more than the difference, for what lies apart.
    pub fn allowedIdle(decay: *const Decay, used: u64) u64 {
        return decay.peak - used + decay.peak / 16;
    }

    pub fn forget(decay: *Decay, used: u64) void {
        decay.peak = used;
    }
};

test "decay: the peak falls with time, not below use" {
    var decay: Decay = .{};
    decay.note(1000);
    decay.fall(200, 7);
    try std.testing.expectEqual(1000, decay.peak);
    decay.fall(200, fall_ns / 2 + 7);
    try std.testing.expectEqual(600, decay.peak);
    try std.testing.expectEqual(400 + 600 / 16, decay.allowedIdle(200));
    decay.fall(200, 100 * fall_ns);
    try std.testing.expectEqual(200, decay.peak);
}
