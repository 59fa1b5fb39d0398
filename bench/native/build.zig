//! Builds the native bench of the memory system: the pool as a shared library, and the driver.
//!
//!   zig build --build-file bench/native/build.zig && bench/native/zig-out/bin/memory-bench

const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{ .default_target = .{ .cpu_model = .baseline } });
    const library = b.addLibrary(.{
        .name = "bitnet-pool",
        .linkage = .dynamic,
        .root_module = b.createModule(.{
            .root_source_file = b.path("pool_library.zig"),
            .target = target,
            // As the core is built.
            .optimize = .ReleaseSafe,
            .omit_frame_pointer = true,
            .pic = true,
            .link_libc = target.result.os.tag != .linux,
            .imports = &.{.{ .name = "memory", .module = b.createModule(.{
                .root_source_file = b.path("../../zig/memory.zig"),
            }) }},
        }),
    });
    if (target.result.os.tag == .linux) library.linker_allow_shlib_undefined = true;
    b.installArtifact(library);

    const driver = b.addExecutable(.{
        .name = "memory-bench",
        .root_module = b.createModule(.{
            .root_source_file = b.path("memory.zig"),
            .target = target,
            .optimize = .ReleaseFast,
            .link_libc = true,
            .imports = &.{.{ .name = "memory", .module = b.createModule(.{
                .root_source_file = b.path("../../zig/memory.zig"),
                .target = target,
            }) }},
        }),
    });
    b.installArtifact(driver);
}
