//! What the C ABI says of a failure: a status, and for each thread the text of its last one, which
//! `bn_error_text` hands out.

const std = @import("std");
const abi = @import("abi.zig");
const driver = @import("program/driver.zig");
const engine = @import("memory/engine.zig");
const programs = @import("program/program.zig");
const regions = @import("memory/regions.zig");

const Status = abi.Status;

threadlocal var buffer: [512]u8 = undefined;
threadlocal var text_size: usize = 0;

/// The text of this thread's last failure.
pub fn text() []const u8 {
    return buffer[0..text_size];
}

/// Keeps the text, cut to what there is room for, and gives the status back.
pub fn fail(status: Status, comptime format: []const u8, args: anytype) Status {
    const written = std.fmt.bufPrint(&buffer, format, args) catch buffer[0..];
    text_size = written.len;
    return status;
}

/// As `fail`, where the text is written by `explain(context, buffer)`.
pub fn failWith(
    status: Status,
    context: anytype,
    comptime explain: fn (@TypeOf(context), []u8) []const u8,
) Status {
    text_size = explain(context, &buffer).len;
    return status;
}

pub const Failure = driver.Error || regions.Error || programs.Error;

pub fn from(err: Failure) Status {
    return switch (err) {
        error.InvalidArgument => fail(.invalid_argument, "the arguments do not fit", .{}),
        error.TooLarge => fail(.invalid_argument, "the size or offset is out of range", .{}),
        error.InvalidHandle => fail(.invalid_handle, "no such object, or already released", .{}),
        error.InUse => fail(.in_use, "a run is using it", .{}),
        error.InvalidProgram => fail(.invalid_program, "the program is not valid", .{}),
        error.OutOfMemory => failWith(.out_of_memory, {}, explainRefusal),
        error.TooCostly => fail(.too_costly, "too much work to do at once; submit it", .{}),
        error.Unsupported => fail(.unsupported, "the core is closing", .{}),
        error.FileNotFound => fail(.io, "the file cannot be opened", .{}),
        error.FileUnreadable => fail(.io, "the file cannot be read", .{}),
        error.FileTruncated => fail(.io, "the file is shorter than expected", .{}),
        error.MapFailed => fail(.io, "the file cannot be mapped", .{}),
    };
}

fn explainRefusal(_: void, to: []u8) []const u8 {
    return engine.takeRefusal(to);
}

/// A count that came as a double: JavaScript's numbers hold every size there is.
pub fn whole(value: f64) ?u64 {
    if (!(value >= 0 and value < 1 << 53) or @floor(value) != value) return null;
    return @intFromFloat(value);
}

pub fn noSuch(comptime what: []const u8) Status {
    return fail(.invalid_argument, "no such " ++ what, .{});
}

pub fn notWhole() Status {
    return fail(.invalid_argument, "a size or offset is not a whole number", .{});
}
