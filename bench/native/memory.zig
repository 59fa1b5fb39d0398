//! The hybrid pool beside glibc malloc, mimalloc and jemalloc, in one run: each measurement in a
//! process of its own, subjects in turn, the median of several rounds. Rivals that are not
//! installed are left out.
//!
//!   memory-bench [--rounds=5] [--only=scenario]     one line of JSON
//!
//! The pool's library lies in ../lib beside the driver.

const std = @import("std");
const scenarios = @import("scenarios.zig");
const Subject = @import("subject.zig").Subject;

const Entrant = struct {
    name: []const u8,
    /// Preloaded in place of the C library's allocator; null for the pool and for glibc.
    library: ?[*:0]const u8 = null,
    /// Tracking level of the pool.
    level: ?u32 = null,
};

const entrants = [_]Entrant{
    .{ .name = "pool", .level = 1 },
    .{ .name = "glibc" },
    .{ .name = "mimalloc", .library = "libmimalloc.so.2" },
    .{ .name = "jemalloc", .library = "libjemalloc.so.2" },
    .{ .name = "pool_standard", .level = 2 },
    .{ .name = "pool_detailed", .level = 3 },
};

const rounds_max = 31;
const figure_count = @typeInfo(scenarios.Result).@"struct".fields.len;

pub fn main(init: std.process.Init.Minimal) !void {
    var arguments = try init.args.iterateAllocator(std.heap.c_allocator);
    const own = arguments.next().?;
    var rounds: usize = 5;
    var only: []const u8 = "";
    while (arguments.next()) |argument| {
        if (std.mem.startsWith(u8, argument, "--rounds=")) {
            rounds = @min(rounds_max, try std.fmt.parseInt(usize, argument[9..], 10));
        } else if (std.mem.startsWith(u8, argument, "--only=")) {
            only = argument[7..];
        } else if (std.mem.eql(u8, argument, "measure")) {
            return measure(own, arguments.next().?, arguments.next().?);
        } else {
            return error.UnknownArgument;
        }
    }
    try compare(own, rounds, only);
}

/// The child: one entrant, one scenario, the figures as raw doubles on standard output.
fn measure(own: []const u8, entrant_name: []const u8, scenario_name: []const u8) !void {
    const subject: Subject = for (entrants) |entrant| {
        if (!std.mem.eql(u8, entrant.name, entrant_name)) continue;
        const level = entrant.level orelse break .preloaded();
        var path: [4096]u8 = undefined;
        const folder = std.fs.path.dirname(own) orelse ".";
        const library = try std.fmt.bufPrintZ(&path, "{s}/../lib/libbitnet-pool.so", .{folder});
        break try .pool(library, level);
    } else return error.UnknownEntrant;
    for (scenarios.all) |scenario| {
        if (!std.mem.eql(u8, scenario.name, scenario_name)) continue;
        const result = scenario.run(&subject);
        _ = std.c.write(1, @ptrCast(&result), @sizeOf(scenarios.Result));
        return;
    }
    return error.UnknownScenario;
}

const Figures = [entrants.len]?scenarios.Result;

fn compare(own: [:0]const u8, rounds: usize, only: []const u8) !void {
    var buffer: [16384]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    try writer.writeAll("{\"scenarios\":[");
    var separator: []const u8 = "";
    for (scenarios.all) |scenario| {
        if (only.len > 0 and !std.mem.eql(u8, scenario.name, only)) continue;
        const figures = run(own, scenario, rounds);
        try writer.print("{s}{{\"name\":\"{s}\",\"results\":{{", .{ separator, scenario.name });
        try writeFigures(&writer, figures);
        try writer.writeAll("}}");
        separator = ",";
    }
    try writer.writeAll("]}\n");
    const text = writer.buffered();
    _ = std.c.write(1, text.ptr, text.len);
}

fn writeFigures(writer: *std.Io.Writer, figures: Figures) !void {
    var separator: []const u8 = "";
    for (entrants, figures) |entrant, figure| {
        const result = figure orelse continue;
        try writer.print(
            "{s}\"{s}\":{{\"allocateNs\":{d:.2},\"freeNs\":{d:.2},\"nsPerOp\":{d:.2}," ++
                "\"residentOverLive\":{d:.3}}}",
            .{
                separator,
                entrant.name,
                result.allocate_ns,
                result.free_ns,
                result.ns_per_op,
                result.resident_over_live,
            },
        );
        separator = ",";
    }
}

/// The medians over all rounds; rounds go through the entrants in turn, so that a slow moment of
/// the machine meets them all.
fn run(own: [:0]const u8, scenario: scenarios.Scenario, rounds: usize) Figures {
    var samples: [entrants.len][figure_count][rounds_max]f64 = undefined;
    var counts: [entrants.len]usize = @splat(0);
    for (0..rounds) |_| {
        for (entrants, &samples, &counts) |entrant, *of_entrant, *count| {
            const result = spawn(own, entrant, scenario.name) orelse continue;
            const values: [figure_count]f64 = @bitCast(result);
            for (of_entrant, values) |*of_figure, value| of_figure[count.*] = value;
            count.* += 1;
        }
    }
    var figures: Figures = @splat(null);
    for (&figures, &samples, counts) |*figure, *of_entrant, count| {
        if (count == 0) continue;
        var medians: [figure_count]f64 = undefined;
        for (&medians, of_entrant) |*to, *values| {
            std.mem.sort(f64, values[0..count], {}, std.sort.asc(f64));
            to.* = values[count / 2];
        }
        figure.* = @bitCast(medians);
    }
    return figures;
}

/// The figures of one measurement; null when its process failed.
fn spawn(own: [:0]const u8, entrant: Entrant, scenario: []const u8) ?scenarios.Result {
    var ends: [2]std.c.fd_t = undefined;
    if (std.c.pipe(&ends) != 0) return null;
    defer _ = std.c.close(ends[0]);
    const child = fork();
    if (child == 0) {
        _ = std.c.dup2(ends[1], 1);
        if (entrant.library) |library| {
            // The loader goes on without a library that it does not find: look before.
            if (std.c.dlopen(library, .{ .LAZY = true }) == null) std.c._exit(1);
        }
        execute(own, entrant, scenario);
        std.c._exit(1);
    }
    _ = std.c.close(ends[1]);
    var result: scenarios.Result = undefined;
    const size = std.c.read(ends[0], @ptrCast(&result), @sizeOf(scenarios.Result));
    _ = std.c.waitpid(child, null, 0);
    return if (size == @sizeOf(scenarios.Result)) result else null;
}

fn execute(own: [:0]const u8, entrant: Entrant, scenario: []const u8) void {
    var buffer: [512]u8 = undefined;
    var fixed: std.heap.FixedBufferAllocator = .init(&buffer);
    const gpa = fixed.allocator();
    const name = gpa.dupeZ(u8, entrant.name) catch return;
    const of_scenario = gpa.dupeZ(u8, scenario) catch return;
    if (entrant.library) |library| _ = setenv("LD_PRELOAD", library, 1);
    const arguments = [_:null]?[*:0]const u8{ own, "measure", name, of_scenario };
    _ = std.c.execve(own, &arguments, std.c.environ);
}

extern fn fork() c_int;
extern fn setenv(name: [*:0]const u8, value: [*:0]const u8, overwrite: c_int) c_int;
