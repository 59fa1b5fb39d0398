//! What a profiled Program has spent its time on: a sum for each instruction, and the first so many
//! instructions one by one, with when they ran. Times are those of the first worker, from the end
//! of one instruction to the end of the next: waiting at the barrier before it is its own.

const std = @import("std");
const abi = @import("../abi.zig");

const gpa = @import("../memory/engine.zig").gpa;

pub const Profile = struct {
    /// Nanoseconds by instruction.
    times: []u64,
    events: []abi.ProfileEvent,
    /// Of all instructions that ran, whether or not there was room for them.
    event_count: std.atomic.Value(u64) = .init(0),

    pub fn create(instr_count: usize, event_max: u32) error{OutOfMemory}!*Profile {
        const profile = try gpa.create(Profile);
        errdefer gpa.destroy(profile);
        const times = try gpa.alloc(u64, instr_count);
        errdefer gpa.free(times);
        @memset(times, 0);
        profile.* = .{ .times = times, .events = try gpa.alloc(abi.ProfileEvent, event_max) };
        return profile;
    }

    pub fn destroy(profile: *Profile) void {
        gpa.free(profile.events);
        gpa.free(profile.times);
        gpa.destroy(profile);
    }

    /// An instruction that ran from `start` to `end`, in nanoseconds of the monotonic clock.
    pub fn add(profile: *Profile, instr: usize, start: u64, end: u64) void {
        profile.times[instr] += end - start;
        // A run on the caller's thread may be beside one of the driver's.
        const index = profile.event_count.fetchAdd(1, .monotonic);
        if (index >= profile.events.len) return;
        profile.events[@intCast(index)] = .{
            .start_ns = start,
            .duration_ns = @intCast(@min(end - start, std.math.maxInt(u32))),
            .instr = @intCast(instr),
        };
    }
};
