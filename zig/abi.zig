//! The contract between the core and TypeScript: every number, struct and attribute both sides
//! must agree on, described once. `zig build abi` writes src/native/abi.gen.ts from this file by
//! reflection; the hash of all that lies here is compared before anything else is called.

const mapping = @import("memory/mapping.zig");
const debug = @import("memory/debug.zig");
const pool_metrics = @import("memory/pool_metrics.zig");
const pool_tables = @import("memory/pool_tables.zig");
const task = @import("kernels/task.zig");
const timeline = @import("memory/timeline.zig");
const tracking = @import("memory/tracking.zig");

pub const DType = task.DType;
pub const Layout = task.Layout;
pub const FaultCode = task.FaultCode;
pub const rank_max = task.rank_max;

pub const Status = enum(i32) {
    ok,
    invalid_argument,
    invalid_handle,
    invalid_program,
    out_of_memory,
    io,
    aborted,
    run_failed,
    too_costly,
    unsupported,
    internal,
    in_use,
    limit_reached,
    double_free,
    foreign_block,
    guard_damaged,
};

pub const Op = @import("op.zig").Op;

pub const BlockSizes = @import("kernels/block_sizes.zig").BlockSizes;

pub const Activation = @import("kernels/gated_activation.zig").Activation;

/// Attributes of ops, by op name: words of 32 bits, declared beside their kernel. An op that is
/// not listed has none.
pub const Attrs = struct {
    pub const rms_norm = @import("kernels/rms_norm.zig").Attrs;
    pub const rms_norm_quantize = @import("kernels/rms_norm_quantize.zig").Attrs;
    pub const quantize_rows = @import("kernels/quantize_rows.zig").Attrs;
    pub const ternary_matmul = @import("kernels/ternary_matmul.zig").Attrs;
    pub const dense_matmul = @import("kernels/dense_matmul.zig").Attrs;
    pub const rope_angles = @import("kernels/rope_angles.zig").Attrs;
    pub const attention = @import("kernels/attention.zig").Attrs;
    pub const gated_activation = @import("kernels/gated_activation.zig").Attrs;
    pub const triangular_solve = @import("kernels/triangular_solve.zig").Attrs;
    pub const convert = @import("kernels/convert.zig").Attrs;
    pub const unpack_packed = @import("kernels/unpack_packed.zig").Attrs;
    pub const reduce_sum = @import("kernels/reduce.zig").Attrs;
    pub const reduce_product = @import("kernels/reduce.zig").Attrs;
    pub const reduce_max = @import("kernels/reduce.zig").Attrs;
    pub const reduce_min = @import("kernels/reduce.zig").Attrs;
    pub const place = @import("kernels/place.zig").Attrs;
    pub const concat = @import("kernels/concat.zig").Attrs;
    pub const sort = @import("kernels/sort.zig").Attrs;
    pub const elementwise_chain = @import("kernels/elementwise_chain.zig").Attrs;
};

/// What a step of an `elementwise_chain` does, and where its parts lie in its word.
pub const ChainOp = @import("kernels/elementwise_chain.zig").ChainOp;
pub const ChainShift = @import("kernels/elementwise_chain.zig").ChainShift;
pub const chain_input_max = @import("kernels/elementwise_chain.zig").input_count_max;
pub const chain_register_max = @import("kernels/elementwise_chain.zig").register_count_max;
pub const chain_step_max = @import("kernels/elementwise_chain.zig").step_count_max;

/// The dtypes that values are cast among.
pub const Plain = @import("kernels/cast.zig").Plain;

/// Columns of the sampling parameters, f32 `(sequences, sampling_columns)`. Zero turns a filter
/// off, except temperature 0, which keeps only the largest logit, and the penalty, whose neutral
/// value is 1.
pub const SamplingColumn = @import("kernels/sampling_probs.zig").Column;

/// Words of the random state, u32 `(sequences, 4)`: the key and the counter of Philox 4x32-10.
pub const RandomWord = enum(u32) { seed_low, seed_high, sequence, step };

/// Positions in a page of the KV cache, and the chunk in which attention sums.
pub const page_positions = @import("kernels/kv_write.zig").page_positions;

/// Rows of the head that share an entry of the bounds that head_screen leaves.
pub const head_bound_rows = @import("kernels/head_rule.zig").bound_rows;

// The Program blob, little-endian: Header, then the tables, widest entries first so that each is
// aligned: Region, stride (i64), Slot, Sym, Dim, operand (u32), attribute (u32), Instr, Feedback.

pub const blob_magic: u32 = 0x504e_5442; // "BTNP"
pub const no_sym: u16 = 0xffff;
pub const no_slot: u32 = 0xffff_ffff;

pub const Header = extern struct {
    magic: u32,
    abi_hash: u32,
    region_count: u32,
    stride_count: u32,
    slot_count: u32,
    sym_count: u32,
    dim_count: u32,
    operand_count: u32,
    attr_count: u32,
    instr_count: u32,
    feedback_count: u32,
    reserved: u32,
};

/// A size that changes by run; everything is planned for `max`.
pub const Sym = extern struct { min: u32, max: u32 };

/// Arena memory is the program's own and keeps nothing between steps; input memory is private to
/// a run and filled from its arguments; const, state and output are bound to regions by the run.
pub const RegionKind = enum(u32) { arena, constant, state, input, output };

/// `kind` is a `RegionKind`.
pub const Region = extern struct { kind: u32, alignment: u32, size_at_max: u64 };

/// extent = mul * sym + add; `sym` is `no_sym` for a constant, with mul 0. Beside a symbol `add` is
/// an i32: all but the first of n rows are n - 1.
pub const Dim = extern struct { sym: u16, reserved: u16, mul: u32, add: u32 };

pub const Slot = extern struct {
    offset: u64,
    region: u16,
    /// A `DType` and a `Layout`, as numbers until they are checked.
    dtype: u8,
    layout: u8,
    rank: u8,
    reserved: [3]u8,
    /// Index of the first of `rank` dims, and of strides (i64) when the layout is strided.
    dims: u32,
    strides: u32,
    row_scale_slot: u32,
    reserved2: u32,
};

pub const InstrFlag = enum(u16) {
    /// All workers wait here before the instruction.
    barrier_before = 1,
    /// Worker 0 alone runs it.
    serial = 2,
    /// Changes state that outlives the run: from here a step is finished, not aborted.
    commit = 4,
};

pub const Instr = extern struct {
    op: u16,
    flags: u16,
    input_count: u8,
    output_count: u8,
    reserved: u16,
    /// Index of the first operand (inputs, then outputs) and of the first attribute word.
    operands: u32,
    attrs: u32,
    /// An i32 slot of one element, or `no_slot`: the instruction runs where it is not zero.
    predicate_slot: u32,
    /// Estimated work at max in units of 1000 simple operations, for `bn_run_now`'s refusal.
    cost: u32,
};

/// After each step the bytes of `from` are copied to `to`; both have the same extents.
pub const Feedback = extern struct { from: u32, to: u32 };

// A run.

pub const RegionBinding = extern struct { handle: u32, reserved: u32, offset: u64 };

/// The arguments of a run: this struct, then `region_count` bindings (arena and input entries are
/// ignored), then `sym_count` u32 values padded to 8 bytes, then the bytes of all input regions in
/// order, each padded to 64, then, where `path_size` is not 0, a `FileReading` and the path, UTF-8.
pub const RunArgs = extern struct {
    size: u32,
    steps: u32,
    region_count: u32,
    sym_count: u32,
    thread_count: u32,
    path_size: u32,
};

/// A part of a file that is read into a state or output region before the first step.
pub const FileReading = extern struct {
    region: u32,
    reserved: u32,
    /// Within what the region is bound to.
    region_offset: u64,
    offset: u64,
    size: u64,
    /// What will be read next, by another run: told to the system. A size of 0 is nothing.
    ahead_offset: u64,
    ahead_size: u64,
};

pub const RunState = enum(u32) { queued, running, done, aborted, failed };

pub const RunStatus = extern struct {
    state: RunState,
    steps_done: u32,
    /// The instruction at which a run failed, or the one it is at.
    instr: u32,
    fault: FaultCode,
    fault_detail: i64,
};

/// One instruction of a profiled run, by the monotonic clock.
pub const ProfileEvent = extern struct { start_ns: u64, duration_ns: u32, instr: u32 };

/// What a region is for.
pub const MemoryTag = @import("memory/engine.zig").Tag;

/// The engine's memory in bytes.
pub const MemoryMetrics = extern struct {
    /// By tag, as they were asked for.
    used_weights: u64,
    used_kv_cache: u64,
    used_arena: u64,
    used_input: u64,
    used_staging: u64,
    used_tensor: u64,
    used_other: u64,
    used_bookkeeping: u64,
    /// The most that was used at once, of all tags.
    peak: u64,
    /// In whole spans and units: what the limit is about, 0 where there is none.
    held: u64,
    limit: u64,
    /// What may be resident: held, kept for reuse, and the pool's own tables.
    total: u64,
    /// Files in use in place.
    mapped: u64,
    region_count: u32,
    reserved: u32,
};

/// What memory the machine and this process have.
pub const SystemMemory = @import("memory/system_memory.zig").SystemMemory;

/// What may be done with the bytes of a mapped file.
pub const MapMode = mapping.Mode;

/// Where a mapped part of a file may begin: at multiples of it.
pub const map_alignment = mapping.offset_alignment;

/// How a mapped file will be used.
pub const MapAdvice = mapping.Advice;

// A memory pool.

pub const PoolLevel = tracking.Level;
pub const PoolEventKind = timeline.EventKind;
pub const PoolFaultKind = debug.FaultKind;

/// How a region is made. What an `uninitialised` one holds is not defined before it is written.
pub const RegionFlag = enum(u32) { sparse = 1, uninitialised = 2 };

pub const PoolFlag = enum(u32) { debug = 1, small_pages = 2, idle_limited = 4 };

/// `level` is a `PoolLevel`; `size_max` 0 means no limit. `idle_size_max`, of freed memory that is
/// kept, counts with the flag `idle_limited` alone.
pub const PoolOptions = extern struct {
    size_max: u64,
    idle_size_max: u64,
    level: u32,
    flags: u32,
};

/// Where the parts of an allocation's manner lie in its u32: the tag in the lowest eight bits.
pub const PoolManner = enum(u32) { alignment_log2_shift = 8, zeroed = 1 << 16, sparse = 1 << 17 };

pub const PoolTable = pool_tables.Table;
pub const PoolNameKind = enum(u32) { tag, label };

pub const PoolMetrics = pool_metrics.Metrics;
pub const PoolTag = pool_tables.Tag;
pub const PoolClass = pool_metrics.ClassMetrics;
pub const PoolSample = timeline.Sample;
pub const PoolEvent = timeline.Event;
pub const PoolRecord = tracking.Record;
pub const PoolFault = debug.Fault;

/// Where regions begin.
pub const region_alignment = @import("memory/engine.zig").alignment;
/// Working memory of a Program from here on is the run's, not the Program's.
pub const passing_arena_min = 16 << 20;
pub const pool_alignment_max = @import("memory/tiers.zig").alignment_max;

// A conversion.

/// A conversion of `count` elements of one array, done before the call returns.
pub const Conversion = extern struct {
    count: u64,
    source_size: u64,
    target_size: u64,
    /// Each a `Plain`.
    from: u32,
    to: u32,
    scale: f32,
    zero_point: i32,
    /// 0 is the core's default, where the pool has nothing else to do.
    thread_count: u32,
    /// 1 adds what is lost to the `ConversionLoss` given.
    measured: u32,
};

/// See kernels/convert.zig.
pub const ConversionLoss = @import("kernels/convert.zig").Loss;

pub const CoreInfo = extern struct {
    /// Of a run that asks for none; 0 until the core is opened.
    thread_count: u32,
    thread_count_max: u32,
    /// Bit i is set when level i of `isa_names` runs on this machine.
    isa_available: u32,
    isa: u32,
    page_size: u32,
};

/// What `bn_core_probe` measures.
pub const Probe = enum(u32) {
    read_bytes_per_second,
    int8_ops_per_second,
    f32_flops_per_second,
};

/// Levels in rising order of preference; which exist depends on the architecture.
pub const Isa = enum(u32) {
    scalar,
    v2,
    avx2,
    avxvnni,
    avx512vnni,
    avx512vbmi,
    neon,
    dotprod,
    i8mm,
};

/// Exported functions and their C types, in the words of bun:ffi.
pub const functions = .{
    .bn_core_hash = .{ .args = .{}, .returns = .u32 },
    .bn_core_open = .{
        .args = .{ .isa_name = .ptr, .isa_name_size = .u32, .threads = .u32 },
        .returns = .i32,
    },
    .bn_core_info = .{ .args = .{ .info = .ptr }, .returns = .i32 },
    .bn_core_probe = .{
        .args = .{ .probe = .u32, .threads = .u32, .seconds = .f64, .result = .ptr },
        .returns = .i32,
    },
    .bn_core_blocks = .{ .args = .{ .sizes = .ptr }, .returns = .i32 },
    .bn_core_stream = .{
        .args = .{
            .read_size = .f64,
            .write_size = .f64,
            .past_caches = .u32,
            .threads = .u32,
            .seconds = .f64,
            .result = .ptr,
        },
        .returns = .i32,
    },
    .bn_core_close = .{ .args = .{}, .returns = .i32 },
    .bn_error_text = .{ .args = .{ .buffer = .ptr, .size = .u32 }, .returns = .u32 },
    .bn_region_create = .{
        .args = .{ .size = .f64, .tag = .u32, .flags = .u32, .handle = .ptr },
        .returns = .i32,
    },
    .bn_region_map = .{
        .args = .{
            .path = .ptr,
            .path_size = .u32,
            .offset = .f64,
            .size = .f64,
            .mode = .u32,
            .handle = .ptr,
        },
        .returns = .i32,
    },
    .bn_region_read = .{
        .args = .{
            .handle = .u32,
            .offset = .f64,
            .path = .ptr,
            .path_size = .u32,
            .file_offset = .f64,
            .size = .f64,
        },
        .returns = .i32,
    },
    .bn_region_address = .{ .args = .{ .handle = .u32, .address = .ptr }, .returns = .i32 },
    .bn_region_check_file = .{ .args = .{ .handle = .u32 }, .returns = .i32 },
    .bn_region_advise = .{
        .args = .{ .handle = .u32, .advice = .u32, .offset = .f64, .size = .f64 },
        .returns = .i32,
    },
    .bn_region_discard = .{
        .args = .{ .handle = .u32, .offset = .f64, .size = .f64, .won = .ptr },
        .returns = .i32,
    },
    .bn_region_forgetter = .{ .args = .{ .address = .ptr }, .returns = .i32 },
    .bn_region_release = .{ .args = .{ .handle = .u32 }, .returns = .i32 },
    .bn_memory_system = .{ .args = .{ .memory = .ptr }, .returns = .i32 },
    .bn_memory_metrics = .{ .args = .{ .metrics = .ptr }, .returns = .i32 },
    .bn_pool_create = .{ .args = .{ .options = .ptr, .handle = .ptr }, .returns = .i32 },
    .bn_pool_options = .{ .args = .{ .pool = .u32, .options = .ptr }, .returns = .i32 },
    .bn_pool_hold = .{ .args = .{ .pool = .u32 }, .returns = .i32 },
    .bn_pool_release = .{ .args = .{ .pool = .u32 }, .returns = .i32 },
    .bn_pool_forgetter = .{ .args = .{ .address = .ptr }, .returns = .i32 },
    .bn_pool_allocate = .{
        .args = .{ .pool = .u32, .size = .f64, .manner = .u32, .label = .u32 },
        .returns = .f64,
    },
    .bn_pool_free = .{
        .args = .{ .pool = .u32, .address = .f64, .size = .f64, .tag = .u32 },
        .returns = .i32,
    },
    .bn_pool_region = .{
        .args = .{ .pool = .u32, .address = .f64, .size = .f64, .tag = .u32, .region = .ptr },
        .returns = .i32,
    },
    .bn_pool_number = .{
        .args = .{ .pool = .u32, .kind = .u32, .name = .ptr, .name_size = .u32, .number = .ptr },
        .returns = .i32,
    },
    .bn_pool_name = .{
        .args = .{ .pool = .u32, .kind = .u32, .number = .u32, .buffer = .ptr, .size = .u32 },
        .returns = .u32,
    },
    .bn_pool_metrics = .{ .args = .{ .pool = .u32, .metrics = .ptr }, .returns = .i32 },
    .bn_pool_read = .{
        .args = .{ .pool = .u32, .table = .u32, .entries = .ptr, .size = .u32, .count = .ptr },
        .returns = .i32,
    },
    .bn_pool_explain = .{
        .args = .{ .pool = .u32, .address = .f64, .buffer = .ptr, .size = .u32 },
        .returns = .u32,
    },
    .bn_pool_validate = .{ .args = .{ .pool = .u32, .damaged = .ptr }, .returns = .i32 },
    .bn_pool_trim = .{ .args = .{ .pool = .u32 }, .returns = .i32 },
    .bn_memory_watch = .{ .args = .{ .level = .u32, .debug = .u32 }, .returns = .i32 },
    .bn_memory_trim = .{ .args = .{ .won = .ptr }, .returns = .i32 },
    .bn_memory_limit = .{ .args = .{ .size = .f64 }, .returns = .i32 },
    .bn_convert = .{
        .args = .{ .source = .ptr, .target = .ptr, .conversion = .ptr, .loss = .ptr },
        .returns = .i32,
    },
    .bn_program_create = .{
        .args = .{ .blob = .ptr, .size = .u32, .handle = .ptr },
        .returns = .i32,
    },
    .bn_program_forgetter = .{ .args = .{ .address = .ptr }, .returns = .i32 },
    .bn_program_release = .{ .args = .{ .handle = .u32 }, .returns = .i32 },
    .bn_run_now = .{
        .args = .{ .program = .u32, .args = .ptr, .size = .u32, .status = .ptr },
        .returns = .i32,
    },
    .bn_run_here = .{
        .args = .{ .program = .u32, .args = .ptr, .size = .u32, .status = .ptr },
        .returns = .i32,
    },
    .bn_run_submit = .{
        .args = .{ .program = .u32, .args = .ptr, .size = .u32, .ticket = .ptr },
        .returns = .i32,
    },
    .bn_run_poll = .{ .args = .{ .ticket = .u32, .status = .ptr }, .returns = .i32 },
    .bn_run_cancel = .{ .args = .{ .ticket = .u32 }, .returns = .i32 },
    .bn_run_wait = .{ .args = .{ .ticket = .u32, .timeout_ms = .u32 }, .returns = .i32 },
    .bn_run_forgetter = .{ .args = .{ .address = .ptr }, .returns = .i32 },
    .bn_run_release = .{ .args = .{ .ticket = .u32 }, .returns = .i32 },
    .bn_notify_set = .{ .args = .{ .callback = .ptr }, .returns = .i32 },
    .bn_notify_ack = .{ .args = .{}, .returns = .i32 },
    .bn_profile_set = .{
        .args = .{ .program = .u32, .on = .u32, .event_max = .u32 },
        .returns = .i32,
    },
    .bn_profile_read = .{
        .args = .{ .program = .u32, .nanoseconds = .ptr, .count = .u32 },
        .returns = .i32,
    },
    .bn_profile_events = .{
        .args = .{ .program = .u32, .events = .ptr, .max = .u32, .count = .ptr },
        .returns = .i32,
    },
};
