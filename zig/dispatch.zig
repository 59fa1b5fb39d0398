//! Picks the instruction-set level once, when the core opens: the best the processor has, or the
//! one that is asked for. Every level is compiled from the same kernels and gives the same bits.

const std = @import("std");
const abi = @import("abi.zig");
const builtin = @import("builtin");
const os = @import("threads/os.zig");
const task = @import("kernels/task.zig");

const level_table = @import("level_table.zig");

/// What build.zig compiled, plainest first.
pub const levels: []const abi.Isa = &compiled;

const compiled = blk: {
    const names = @import("core_options").levels;
    var isas: [names.len]abi.Isa = undefined;
    for (names, &isas) |name, *isa| isa.* = @field(abi.Isa, name);
    break :blk isas;
};

/// The width of vectors that each of `levels` has its other kernels from.
const widths = @import("core_options").widths;

var kernels: [level_table.op_count]task.Kernel = undefined;
var products: *const level_table.Products = undefined;
var active_isa: abi.Isa = .scalar;

/// Makes `isa` the level of every run from now on; the caller sees to it that none is under way.
pub fn select(isa: abi.Isa) void {
    std.debug.assert(available() & bit(isa) != 0);
    inline for (levels, widths) |level, width| {
        if (level == isa) {
            products = table(level_table.Products, "bn_level_" ++ @tagName(level));
            const floats = table(level_table.Floats, "bn_floats_" ++ width);
            for (&kernels, floats.kernels) |*to, from| if (from) |of_width| {
                to.* = of_width;
            };
            for (level_table.products, products.kernels) |op, of_level| {
                kernels[@intFromEnum(op)] = of_level;
            }
            active_isa = isa;
        }
    }
}

fn table(comptime T: type, comptime name: []const u8) *const T {
    return @extern(*const T, .{ .name = name, .visibility = .hidden });
}

pub fn selected() abi.Isa {
    return active_isa;
}

pub fn kernel(op: abi.Op) task.Kernel {
    return kernels[@intFromEnum(op)];
}

pub fn probes() *const level_table.Products {
    return products;
}

/// The best level this processor runs.
pub fn best() abi.Isa {
    const mask = available();
    var result: abi.Isa = .scalar;
    for (levels) |level| {
        if (mask & bit(level) != 0) result = level;
    }
    return result;
}

/// The compiled levels that this processor runs, a bit each by the number of the level.
pub fn available() u32 {
    var built: u32 = 0;
    for (levels) |level| built |= bit(level);
    return built & switch (builtin.cpu.arch) {
        .x86_64 => availableX86(),
        .aarch64 => availableArm(),
        else => @compileError("no kernels for this architecture"),
    };
}

pub fn bit(isa: abi.Isa) u32 {
    return @as(u32, 1) << @intCast(@intFromEnum(isa));
}

const Leaf = struct { eax: u32, ebx: u32, ecx: u32, edx: u32 };

fn availableX86() u32 {
    var mask = bit(.scalar);
    const basic = cpuid(1, 0);
    // SSSE3, SSE4.1, SSE4.2, POPCNT.
    const v2 = has(basic.ecx, 9) and has(basic.ecx, 19) and has(basic.ecx, 20) and
        has(basic.ecx, 23);
    if (!v2) return mask;
    mask |= bit(.v2);
    // The system must save the wide registers too: OSXSAVE, then what XCR0 enables.
    if (!has(basic.ecx, 27) or !has(basic.ecx, 28) or cpuid(0, 0).eax < 7) return mask;
    const saved = xgetbv();
    if (saved & 0x6 != 0x6) return mask;
    const extended = cpuid(7, 0);
    const far = cpuid(0x8000_0001, 0);
    // FMA, MOVBE, F16C; BMI1, AVX2, BMI2; LZCNT.
    const v3 = has(basic.ecx, 12) and has(basic.ecx, 22) and has(basic.ecx, 29) and
        has(extended.ebx, 3) and has(extended.ebx, 5) and has(extended.ebx, 8) and has(far.ecx, 5);
    if (!v3) return mask;
    mask |= bit(.avx2);
    if (extended.eax >= 1 and has(cpuid(7, 1).eax, 4)) mask |= bit(.avxvnni);
    // AVX-512 F, DQ, CD, BW, VL and VNNI.
    const v4 = saved & 0xe6 == 0xe6 and has(extended.ebx, 16) and has(extended.ebx, 17) and
        has(extended.ebx, 28) and has(extended.ebx, 30) and has(extended.ebx, 31);
    if (!v4 or !has(extended.ecx, 11)) return mask;
    mask |= bit(.avx512vnni);
    if (has(extended.ecx, 1)) mask |= bit(.avx512vbmi);
    return mask;
}

fn availableArm() u32 {
    var mask = bit(.scalar) | bit(.neon);
    switch (builtin.os.tag) {
        .linux => {
            const capabilities = auxv(16);
            const capabilities2 = auxv(26);
            if (capabilities & (1 << 20) != 0) {
                mask |= bit(.dotprod);
                if (capabilities2 & (1 << 13) != 0) mask |= bit(.i8mm);
            }
        },
        .macos => {
            if (os.sysctlU32("hw.optional.arm.FEAT_DotProd") != 0) {
                mask |= bit(.dotprod);
                if (os.sysctlU32("hw.optional.arm.FEAT_I8MM") != 0) mask |= bit(.i8mm);
            }
        },
        else => {},
    }
    return mask;
}

fn has(word: u32, index: u5) bool {
    return word >> index & 1 != 0;
}

fn cpuid(leaf: u32, subleaf: u32) Leaf {
    var eax: u32 = undefined;
    var ebx: u32 = undefined;
    var ecx: u32 = undefined;
    var edx: u32 = undefined;
    asm volatile ("cpuid"
        : [eax] "={eax}" (eax),
          [ebx] "={ebx}" (ebx),
          [ecx] "={ecx}" (ecx),
          [edx] "={edx}" (edx),
        : [leaf] "{eax}" (leaf),
          [subleaf] "{ecx}" (subleaf),
    );
    return .{ .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx };
}

fn xgetbv() u32 {
    return asm volatile ("xgetbv"
        : [result] "={eax}" (-> u32),
        : [index] "{ecx}" (@as(u32, 0)),
        : .{ .edx = true });
}

/// A word of the process's auxiliary vector; without a C library it is read from the kernel's file.
fn auxv(wanted: usize) usize {
    const linux = std.os.linux;
    const rc = linux.open("/proc/self/auxv", .{ .ACCMODE = .RDONLY, .CLOEXEC = true }, 0);
    if (linux.errno(rc) != .SUCCESS) return 0;
    defer _ = linux.close(@intCast(rc));
    var words: [128]usize = undefined;
    const size = linux.read(@intCast(rc), @ptrCast(&words), @sizeOf(@TypeOf(words)));
    if (linux.errno(size) != .SUCCESS) return 0;
    var index: usize = 0;
    while (index + 1 < size / @sizeOf(usize)) : (index += 2) {
        if (words[index] == wanted) return words[index + 1];
    }
    return 0;
}
