//! The hybrid pool beside glibc malloc, mimalloc and jemalloc, in one run: each measurement in a
//! process of its own, subjects in turn, the median of several rounds. Rivals that are not
//! installed are left out.
//!
//!   memory-bench [--rounds=5] [--repeats=31] [--only=scenario] [--trace=file]
//!
//! writes one line of JSON. `repeats` are those within a process; the trace is the engine's.
//! The pool's library lies in ../lib beside the driver.

const std = @import("std");
const scenarios = @import("scenarios.zig");
const Subject = @import("subject.zig").Subject;

const Entrant = struct {
    name: []const u8,
    /// Preloaded in place of the C library's allocator; null for the pool and for glibc.
    library: ?[*:0]const u8 = null,
    /// A function that only this library has: the loader goes on without one it does not find.
    mark: [*:0]const u8 = "malloc",
    /// Tracking level of the pool.
    level: ?u32 = null,
};

const entrants = [_]Entrant{
    .{ .name = "pool", .level = 1 },
    .{ .name = "glibc" },
    .{ .name = "mimalloc", .library = "libmimalloc.so.2", .mark = "mi_malloc" },
    .{ .name = "jemalloc", .library = "libjemalloc.so.2", .mark = "mallctl" },
    .{ .name = "pool_standard", .level = 2 },
    .{ .name = "pool_detailed", .level = 3 },
};

const rounds_max = 31;
const repeats_max = scenarios.repeats_max;
const figure_count = @typeInfo(scenarios.Result).@"struct".fields.len;

const Options = struct {
    own: [:0]const u8,
    rounds: usize = 5,
    repeats: usize = 31,
    only: []const u8 = "",
    trace: [:0]const u8 = "",
};

pub fn main(init: std.process.Init.Minimal) !void {
    var arguments = try init.args.iterateAllocator(std.heap.c_allocator);
    var options: Options = .{ .own = arguments.next().? };
    while (arguments.next()) |argument| {
        const at = std.mem.indexOfScalar(u8, argument, '=') orelse argument.len - 1;
        const value = argument[at + 1 ..];
        if (std.mem.startsWith(u8, argument, "--rounds=")) {
            options.rounds = @min(rounds_max, try std.fmt.parseInt(usize, value, 10));
        } else if (std.mem.startsWith(u8, argument, "--repeats=")) {
            options.repeats = @min(repeats_max, try std.fmt.parseInt(usize, value, 10));
        } else if (std.mem.startsWith(u8, argument, "--only=")) {
            options.only = value;
        } else if (std.mem.startsWith(u8, argument, "--trace=")) {
            options.trace = value;
        } else if (std.mem.eql(u8, argument, "measure")) {
            return measure(options, arguments.next().?, arguments.next().?);
        } else {
            return error.UnknownArgument;
        }
    }
    try compare(options);
}

/// The child: one entrant, one scenario, the figures as raw doubles on standard output.
fn measure(options: Options, entrant_name: []const u8, scenario_name: []const u8) !void {
    const subject: Subject = for (entrants) |entrant| {
        if (!std.mem.eql(u8, entrant.name, entrant_name)) continue;
        const level = entrant.level orelse break try .preloaded(entrant.mark);
        var path: [4096]u8 = undefined;
        const folder = std.fs.path.dirname(options.own) orelse ".";
        const library = try std.fmt.bufPrintZ(&path, "{s}/../lib/libbitnet-pool.so", .{folder});
        break try .pool(library, level);
    } else return error.UnknownEntrant;
    for (scenarios.all) |scenario| {
        if (!std.mem.eql(u8, scenario.name, scenario_name)) continue;
        const result = scenario.run(.{
            .subject = &subject,
            .trace = if (options.trace.len > 0) options.trace else null,
            .repeats = options.repeats,
        });
        _ = std.c.write(1, @ptrCast(&result), @sizeOf(scenarios.Result));
        return;
    }
    return error.UnknownScenario;
}

const Figures = [entrants.len]?scenarios.Result;

fn compare(options: Options) !void {
    var buffer: [16384]u8 = undefined;
    var writer: std.Io.Writer = .fixed(&buffer);
    try writer.writeAll("{\"scenarios\":[");
    var separator: []const u8 = "";
    for (scenarios.all) |scenario| {
        const is_wanted = options.only.len == 0 or std.mem.eql(u8, scenario.name, options.only);
        const is_recorded = std.mem.eql(u8, scenario.name, "engine");
        if (!is_wanted or (is_recorded and options.trace.len == 0)) continue;
        const figures = run(options, scenario);
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
fn run(options: Options, scenario: scenarios.Scenario) Figures {
    var samples: [entrants.len][figure_count][rounds_max]f64 = undefined;
    var counts: [entrants.len]usize = @splat(0);
    for (0..@min(rounds_max, options.rounds * scenario.more)) |_| {
        for (entrants, &samples, &counts) |entrant, *of_entrant, *count| {
            const is_watched = (entrant.level orelse 0) > 1;
            if (is_watched and !scenario.watched) continue;
            const result = spawn(options, entrant, scenario.name) orelse continue;
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
fn spawn(options: Options, entrant: Entrant, scenario: []const u8) ?scenarios.Result {
    var ends: [2]std.c.fd_t = undefined;
    if (std.c.pipe(&ends) != 0) return null;
    defer _ = std.c.close(ends[0]);
    const child = fork();
    if (child == 0) {
        _ = std.c.dup2(ends[1], 1);
        // The loader has words for a library that it does not find.
        if (entrant.library != null) _ = std.c.close(2);
        execute(options, entrant, scenario);
        std.c._exit(1);
    }
    _ = std.c.close(ends[1]);
    var result: scenarios.Result = undefined;
    const size = std.c.read(ends[0], @ptrCast(&result), @sizeOf(scenarios.Result));
    _ = std.c.waitpid(child, null, 0);
    return if (size == @sizeOf(scenarios.Result)) result else null;
}

fn execute(options: Options, entrant: Entrant, scenario: []const u8) void {
    var buffer: [8192]u8 = undefined;
    var fixed: std.heap.FixedBufferAllocator = .init(&buffer);
    const gpa = fixed.allocator();
    const arguments = [_:null]?[*:0]const u8{
        options.own,
        std.fmt.allocPrintSentinel(gpa, "--repeats={d}", .{options.repeats}, 0) catch return,
        std.fmt.allocPrintSentinel(gpa, "--trace={s}", .{options.trace}, 0) catch return,
        "measure",
        gpa.dupeZ(u8, entrant.name) catch return,
        gpa.dupeZ(u8, scenario) catch return,
    };
    if (entrant.library) |library| _ = setenv("LD_PRELOAD", library, 1);
    _ = std.c.execve(options.own, &arguments, std.c.environ);
}

extern fn fork() c_int;
extern fn setenv(name: [*:0]const u8, value: [*:0]const u8, overwrite: c_int) c_int;
