//! A part of a file that a run reads into one of its regions before its first step: checked, by all
//! of its workers, piece by piece. The event loop does not wait for a disk, and what is read is
//! still in the caches of those who use it. Meanwhile the system is told what will be read next.

const std = @import("std");
const files = @import("../memory/files.zig");
const FaultCode = @import("../kernels/task.zig").FaultCode;

/// Bytes that a worker reads at a time: no more than its cache holds.
const piece_size = 512 << 10;

pub const Reading = struct {
    /// Owned by who made this.
    path: []const u8,
    target: []u8,
    /// In the file.
    offset: u64,
    /// What to begin to read after it; none where its size is 0.
    ahead: Range,
    /// Bytes handed out to workers.
    taken: std.atomic.Value(usize) = .init(0),
    failure: std.atomic.Value(u32) = .init(@intFromEnum(FaultCode.none)),
    /// Set once all workers are through.
    is_over: bool = false,

    pub const Range = struct { offset: u64, size: u64 };

    /// One worker's part; when every worker of the run has returned, all is read or `failure` set.
    pub fn work(reading: *Reading, worker: u32) void {
        reading.readPieces(worker) catch |err| {
            const code: FaultCode = switch (err) {
                error.FileNotFound => .file_not_found,
                error.FileUnreadable => .file_unreadable,
                error.FileTruncated => .file_truncated,
            };
            reading.failure.store(@intFromEnum(code), .release);
        };
    }

    fn readPieces(reading: *Reading, worker: u32) files.Error!void {
        const file: files.File = try .open(reading.path);
        defer file.close();
        if (worker == 0 and reading.ahead.size > 0) {
            file.readAhead(reading.ahead.offset, reading.ahead.size);
        }
        while (reading.failure.load(.monotonic) == @intFromEnum(FaultCode.none)) {
            const start = reading.taken.fetchAdd(piece_size, .monotonic);
            if (start >= reading.target.len) return;
            const size = @min(piece_size, reading.target.len - start);
            try file.readAt(reading.target[start..][0..size], reading.offset + start);
        }
    }
};
