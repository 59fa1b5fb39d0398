//! Builds the core: kernels once for each instruction-set level, or where no integers are
//! multiplied once for each width of vectors, then one shared library.
//!
//!   zig build                      the library, into zig-out
//!   zig build -Dlevels=scalar -Dlevels=avx2    with these levels alone, which is quicker
//!   zig build test                 Zig tests
//!   zig build abi                  writes src/native/abi.gen.ts

const std = @import("std");

/// One compilation of the kernels that multiply integers; names as in abi.zig's `Isa`. The other
/// kernels are compiled once for each `width`, for its model.
const Level = struct {
    name: []const u8,
    width: []const u8,
    model: ?*const std.Target.Cpu.Model = null,
    features: std.Target.Cpu.Feature.Set = .empty,
    force_scalar: bool = false,
};

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{ .default_target = .{ .cpu_model = .baseline } });
    const optimize = b.option(
        std.builtin.OptimizeMode,
        "optimize",
        "Of the library (default: ReleaseSafe around ReleaseFast kernels)",
    ) orelse .ReleaseSafe;
    const wanted = b.option(
        []const []const u8,
        "levels",
        "Instruction-set levels to compile, scalar among them (default: all)",
    );

    const library = addCore(b, target, .{ .optimize = optimize, .wanted = wanted });
    b.installArtifact(library);

    const generator = b.addExecutable(.{
        .name = "abi-gen",
        .root_module = b.createModule(.{
            .root_source_file = b.path("abi_gen.zig"),
            .target = b.graph.host,
        }),
    });
    const generate = b.addRunArtifact(generator);
    const generated = generate.captureStdOut(.{});
    const update = b.addUpdateSourceFiles();
    update.addCopyFileToSource(generated, "../src/native/abi.gen.ts");
    b.step("abi", "Write src/native/abi.gen.ts").dependOn(&update.step);

    const run_tests = b.step("test", "Run the Zig tests");
    for ([_][]const u8{ "tests.zig", "product_tests.zig" }) |root| {
        const tests = b.addTest(.{
            .root_module = b.createModule(.{
                .root_source_file = b.path(root),
                .target = b.resolveTargetQuery(.{}),
                .optimize = .ReleaseSafe,
                .link_libc = true,
            }),
        });
        run_tests.dependOn(&b.addRunArtifact(tests).step);
    }
}

fn addCore(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    choice: struct { optimize: std.builtin.OptimizeMode, wanted: ?[]const []const u8 },
) *std.Build.Step.Compile {
    const os = target.result.os.tag;
    const core = b.createModule(.{
        .root_source_file = b.path("root.zig"),
        .target = target,
        .optimize = choice.optimize,
        .strip = true,
        .omit_frame_pointer = true,
        .pic = true,
        // Elsewhere the system library is where threads come from; on Linux see threads/os.zig.
        .link_libc = os != .linux,
    });
    var names: std.ArrayList([]const u8) = .empty;
    var widths: std.ArrayList([]const u8) = .empty;
    for (levelsOf(target.result.cpu.arch)) |level| {
        if (choice.wanted) |wanted| if (!contains(wanted, level.name)) continue;
        core.addObject(addKernels(b, target, level, "level.zig"));
        if (!contains(widths.items, level.width)) {
            core.addObject(addKernels(b, target, .{
                .name = level.width,
                .width = level.width,
                .model = level.model,
            }, "level_floats.zig"));
        }
        names.append(b.allocator, level.name) catch @panic("out of memory");
        widths.append(b.allocator, level.width) catch @panic("out of memory");
    }
    const options = b.addOptions();
    options.addOption([]const []const u8, "levels", names.items);
    options.addOption([]const []const u8, "widths", widths.items);
    core.addOptions("core_options", options);
    const library = b.addLibrary(.{
        .name = "bitnet",
        .linkage = .dynamic,
        .root_module = core,
    });
    if (os == .linux) library.linker_allow_shlib_undefined = true;
    return library;
}

fn addKernels(
    b: *std.Build,
    target: std.Build.ResolvedTarget,
    level: Level,
    root: []const u8,
) *std.Build.Step.Compile {
    var query = target.query;
    query.cpu_arch = target.result.cpu.arch;
    query.cpu_model = if (level.model) |model| .{ .explicit = model } else .baseline;
    query.cpu_features_add = level.features;
    const options = b.addOptions();
    options.addOption([]const u8, "name", level.name);
    options.addOption(bool, "force_scalar", level.force_scalar);
    const kernels = b.createModule(.{
        .root_source_file = b.path(root),
        .target = b.resolveTargetQuery(query),
        .optimize = .ReleaseFast,
        .strip = true,
        .pic = true,
    });
    kernels.addOptions("level_options", options);
    return b.addObject(.{ .name = level.name, .root_module = kernels });
}

fn contains(names: []const []const u8, name: []const u8) bool {
    for (names) |one| if (std.mem.eql(u8, one, name)) return true;
    return false;
}

fn levelsOf(arch: std.Target.Cpu.Arch) []const Level {
    const x86 = std.Target.x86;
    const arm = std.Target.aarch64;
    return switch (arch) {
        .x86_64 => &.{
            .{ .name = "scalar", .width = "x86_64_v1", .force_scalar = true },
            .{ .name = "v2", .width = "x86_64_v1", .model = &x86.cpu.x86_64_v2 },
            .{ .name = "avx2", .width = "x86_64_v3", .model = &x86.cpu.x86_64_v3 },
            .{
                .name = "avxvnni",
                .width = "x86_64_v3",
                .model = &x86.cpu.x86_64_v3,
                .features = comptime x86.featureSet(&.{.avxvnni}),
            },
            .{
                .name = "avx512vnni",
                .width = "x86_64_v4",
                .model = &x86.cpu.x86_64_v4,
                .features = comptime x86.featureSet(&.{.avx512vnni}),
            },
            .{
                .name = "avx512vbmi",
                .width = "x86_64_v4",
                .model = &x86.cpu.x86_64_v4,
                .features = comptime x86.featureSet(&.{ .avx512vnni, .avx512vbmi, .avx512vbmi2 }),
            },
        },
        .aarch64 => &.{
            .{ .name = "scalar", .width = "neon", .force_scalar = true },
            .{ .name = "neon", .width = "neon" },
            .{
                .name = "dotprod",
                .width = "neon",
                .features = comptime arm.featureSet(&.{.dotprod}),
            },
            .{
                .name = "i8mm",
                .width = "neon",
                .features = comptime arm.featureSet(&.{ .dotprod, .i8mm }),
            },
        },
        else => @panic("no kernels for this architecture"),
    };
}
