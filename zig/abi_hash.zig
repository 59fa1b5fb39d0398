//! One number for all of the contract in abi.zig: names, values, field types and offsets. A core
//! and a package of different contracts refuse each other at once.

const std = @import("std");
const abi = @import("abi.zig");

pub const value: u32 = blk: {
    @setEvalBranchQuota(200_000);
    var hash: u32 = 0x811c_9dc5;
    for (@typeInfo(abi).@"struct".decls) |decl| {
        const item = @field(abi, decl.name);
        hash = mix(hash, decl.name);
        if (@TypeOf(item) == type) hash = mixType(hash, item);
    }
    for (@typeInfo(abi.Attrs).@"struct".decls) |decl| {
        hash = mix(hash, decl.name);
        hash = mixType(hash, @field(abi.Attrs, decl.name));
    }
    for (@typeInfo(@TypeOf(abi.functions)).@"struct".fields) |function| {
        hash = mix(hash, function.name);
        const args = @field(abi.functions, function.name).args;
        for (@typeInfo(@TypeOf(args)).@"struct".fields) |arg| {
            hash = mix(hash, arg.name);
            hash = mix(hash, @tagName(@field(args, arg.name)));
        }
    }
    break :blk hash;
};

fn mixType(start: u32, comptime T: type) u32 {
    var hash = start;
    switch (@typeInfo(T)) {
        .@"enum" => |info| for (info.fields) |field| {
            hash = mix(hash, std.fmt.comptimePrint("{s}={d}", .{ field.name, field.value }));
        },
        .@"struct" => |info| for (info.fields) |field| {
            hash = mix(hash, std.fmt.comptimePrint("{s}:{s}@{d}", .{
                field.name,
                @typeName(field.type),
                if (info.layout == .@"extern") @offsetOf(T, field.name) else 0,
            }));
        },
        else => {},
    }
    return hash;
}

/// FNV-1a.
fn mix(start: u32, comptime text: []const u8) u32 {
    var hash = start;
    for (text) |byte| hash = (hash ^ byte) *% 0x0100_0193;
    return hash;
}
