//! Writes src/native/abi.gen.ts to standard output: all of abi.zig as TypeScript constants, by
//! reflection, so that nothing is typed twice.

const std = @import("std");
const abi = @import("abi.zig");
const abi_hash = @import("abi_hash.zig");

const Writer = std.Io.Writer;

const enums = .{
    .Status = abi.Status,
    .DType = abi.DType,
    .Layout = abi.Layout,
    .FaultCode = abi.FaultCode,
    .Op = abi.Op,
    .Plain = abi.Plain,
    .Activation = abi.Activation,
    .ChainOp = abi.ChainOp,
    .ChainShift = abi.ChainShift,
    .SamplingColumn = abi.SamplingColumn,
    .RandomWord = abi.RandomWord,
    .RegionKind = abi.RegionKind,
    .InstrFlag = abi.InstrFlag,
    .RunState = abi.RunState,
    .MemoryTag = abi.MemoryTag,
    .Probe = abi.Probe,
    .Isa = abi.Isa,
    .MapMode = abi.MapMode,
    .MapAdvice = abi.MapAdvice,
    .PoolLevel = abi.PoolLevel,
    .RegionFlag = abi.RegionFlag,
    .PoolFlag = abi.PoolFlag,
    .PoolManner = abi.PoolManner,
    .PoolTable = abi.PoolTable,
    .PoolNameKind = abi.PoolNameKind,
    .PoolEventKind = abi.PoolEventKind,
    .PoolFaultKind = abi.PoolFaultKind,
};

const structs = .{
    .Header = abi.Header,
    .Sym = abi.Sym,
    .Region = abi.Region,
    .Dim = abi.Dim,
    .Slot = abi.Slot,
    .Instr = abi.Instr,
    .Feedback = abi.Feedback,
    .RegionBinding = abi.RegionBinding,
    .RunArgs = abi.RunArgs,
    .FileReading = abi.FileReading,
    .RunStatus = abi.RunStatus,
    .ProfileEvent = abi.ProfileEvent,
    .MemoryMetrics = abi.MemoryMetrics,
    .SystemMemory = abi.SystemMemory,
    .Conversion = abi.Conversion,
    .ConversionLoss = abi.ConversionLoss,
    .CoreInfo = abi.CoreInfo,
    .BlockSizes = abi.BlockSizes,
    .PoolOptions = abi.PoolOptions,
    .PoolMetrics = abi.PoolMetrics,
    .PoolClass = abi.PoolClass,
    .PoolTag = abi.PoolTag,
    .PoolSample = abi.PoolSample,
    .PoolEvent = abi.PoolEvent,
    .PoolRecord = abi.PoolRecord,
    .PoolFault = abi.PoolFault,
};

pub fn main(init: std.process.Init) !void {
    var buffer: [4096]u8 = undefined;
    var file = std.Io.File.stdout().writer(init.io, &buffer);
    try write(&file.interface);
    try file.interface.flush();
}

fn write(out: *Writer) Writer.Error!void {
    try out.writeAll(
        \\// Written by `zig build abi` from zig/abi.zig. Do not edit.
        \\
        \\
    );
    try out.print("export const abiHash = 0x{x:0>8};\n", .{abi_hash.value});
    try out.print("export const blobMagic = 0x{x:0>8};\n", .{abi.blob_magic});
    try out.print("export const noSym = 0x{x};\n", .{abi.no_sym});
    try out.print("export const noSlot = 0x{x};\n", .{abi.no_slot});
    try out.print("export const rankMax = {d};\n", .{abi.rank_max});
    try out.print("export const mapAlignment = {d};\n", .{abi.map_alignment});
    try out.print("export const passingArenaMin = {d};\n", .{abi.passing_arena_min});
    try out.print("export const pagePositions = {d};\n", .{abi.page_positions});
    try out.print("export const regionAlignment = {d};\n", .{abi.region_alignment});
    try out.print("export const poolAlignmentMax = {d};\n", .{abi.pool_alignment_max});
    try out.print("export const headBoundRows = {d};\n", .{abi.head_bound_rows});
    try out.print("export const chainInputMax = {d};\n", .{abi.chain_input_max});
    try out.print("export const chainRegisterMax = {d};\n", .{abi.chain_register_max});
    try out.print("export const chainStepMax = {d};\n", .{abi.chain_step_max});
    inline for (@typeInfo(@TypeOf(enums)).@"struct".fields) |field| {
        try writeEnum(out, field.name, @field(enums, field.name));
    }
    inline for (@typeInfo(@TypeOf(structs)).@"struct".fields) |field| {
        try writeStruct(out, field.name, @field(structs, field.name));
    }
    try out.writeAll("\n/** Attribute words of ops, in order; others have none. */\n");
    try out.writeAll("export const opAttrs = {\n");
    inline for (@typeInfo(abi.Attrs).@"struct".decls) |decl| {
        try out.print("  {s}: [", .{decl.name});
        inline for (@typeInfo(@field(abi.Attrs, decl.name)).@"struct".fields, 0..) |field, index| {
            if (index > 0) try out.writeAll(", ");
            try out.print("[\"{s}\", \"{s}\"]", .{ field.name, wordName(field.type) });
        }
        try out.writeAll("],\n");
    }
    try out.writeAll("} as const;\n\n/** The core's functions, in the words of bun:ffi. */\n");
    try out.writeAll("export const functions = {\n");
    inline for (@typeInfo(@TypeOf(abi.functions)).@"struct".fields) |field| {
        const function = @field(abi.functions, field.name);
        try out.print("  {s}: {{ args: [", .{field.name});
        inline for (@typeInfo(@TypeOf(function.args)).@"struct".fields, 0..) |arg, index| {
            if (index > 0) try out.writeAll(", ");
            try out.print("\"{t}\"", .{@field(function.args, arg.name)});
        }
        try out.print("], returns: \"{t}\" }},\n", .{function.returns});
    }
    try out.writeAll("} as const;\n");
}

fn writeEnum(out: *Writer, comptime name: []const u8, comptime T: type) Writer.Error!void {
    try out.print("\nexport const {s} = {{\n", .{name});
    inline for (@typeInfo(T).@"enum".fields) |field| {
        try out.print("  {s}: {d},\n", .{ field.name, field.value });
    }
    try out.print("}} as const;\nexport type {s}Name = keyof typeof {s};\n", .{ name, name });
}

fn writeStruct(out: *Writer, comptime name: []const u8, comptime T: type) Writer.Error!void {
    try out.print("\nexport const {s}Layout = {{\n  size: {d},\n  fields: {{\n", .{
        name,
        @sizeOf(T),
    });
    inline for (@typeInfo(T).@"struct".fields) |field| {
        if (comptime isFiller(field.name, field.type)) continue;
        try out.print("    {s}: [{d}, \"{s}\"],\n", .{
            field.name,
            @offsetOf(T, field.name),
            wordName(field.type),
        });
    }
    try out.writeAll("  },\n} as const;\n");
}

/// What fills a gap is narrower than eight bytes; a count may be named `reserved` too.
fn isFiller(comptime name: []const u8, comptime T: type) bool {
    return @sizeOf(T) < 8 and
        (std.mem.startsWith(u8, name, "reserved") or std.mem.eql(u8, name, "padding"));
}

fn wordName(comptime T: type) []const u8 {
    return switch (@typeInfo(T)) {
        .@"enum" => |info| @typeName(info.tag_type),
        else => @typeName(T),
    };
}
