// Written by `zig build abi` from zig/abi.zig. Do not edit.

export const abiHash = 0x542445ec;
export const blobMagic = 0x504e5442;
export const noSym = 0xffff;
export const noSlot = 0xffffffff;
export const rankMax = 6;
export const mapAlignment = 65536;
export const passingArenaMin = 16777216;
export const pagePositions = 64;
export const regionAlignment = 64;
export const poolAlignmentMax = 65536;
export const headBoundRows = 8;
export const chainInputMax = 8;
export const chainRegisterMax = 8;
export const chainStepMax = 15;

export const Status = {
  ok: 0,
  invalid_argument: 1,
  invalid_handle: 2,
  invalid_program: 3,
  out_of_memory: 4,
  io: 5,
  aborted: 6,
  run_failed: 7,
  too_costly: 8,
  unsupported: 9,
  internal: 10,
  in_use: 11,
  limit_reached: 12,
  double_free: 13,
  foreign_block: 14,
  guard_damaged: 15,
} as const;
export type StatusName = keyof typeof Status;

export const DType = {
  f32: 0,
  f16: 1,
  bf16: 2,
  f64: 3,
  i32: 4,
  u32: 5,
  i16: 6,
  i8: 7,
  u8: 8,
  bool: 9,
} as const;
export type DTypeName = keyof typeof DType;

export const Layout = {
  strided: 0,
  tile2: 1,
  tile3: 2,
  nibble4: 3,
  hf_ternary: 4,
  tq1_0: 5,
  tq2_0: 6,
  i2_s_128: 7,
  i2_s_64: 8,
  q8_0: 9,
  q4_0: 10,
  q4_k: 11,
  q6_k: 12,
  i4: 13,
} as const;
export type LayoutName = keyof typeof Layout;

export const FaultCode = {
  none: 0,
  token_out_of_range: 1,
  position_out_of_range: 2,
  page_out_of_range: 3,
  sequence_out_of_range: 4,
  row_out_of_range: 5,
  history_full: 6,
  not_finite: 7,
  packing_broken: 8,
  matrix_not_finite: 9,
  matrix_singular: 10,
  matrix_not_positive_definite: 11,
  matrix_not_converged: 12,
  file_not_found: 13,
  file_unreadable: 14,
  file_truncated: 15,
} as const;
export type FaultCodeName = keyof typeof FaultCode;

export const Op = {
  copy: 0,
  add: 1,
  sub: 2,
  mul: 3,
  div: 4,
  softmax: 5,
  embedding: 6,
  rms_norm: 7,
  quantize_rows: 8,
  rms_norm_quantize: 9,
  ternary_matmul: 10,
  int8_matmul: 11,
  dense_matmul: 12,
  rope_angles: 13,
  rope: 14,
  kv_write: 15,
  attention: 16,
  gated_activation: 17,
  gather_rows: 18,
  sampling_probs: 19,
  sample: 20,
  emit: 21,
  stop_when: 22,
  abs_stats: 23,
  ternarize: 24,
  unpack_ternary: 25,
  pack_tile2: 26,
  pack_tile3: 27,
  pack_ternary: 28,
  convert: 29,
  matmul: 30,
  quantize_nibbles: 31,
  head_screen: 32,
  head_refine: 33,
  unpack_packed: 34,
  cholesky: 35,
  lu: 36,
  solve: 37,
  triangular_solve: 38,
  qr: 39,
  svd: 40,
  eigh: 41,
  neg: 42,
  abs: 43,
  floor: 44,
  ceil: 45,
  round: 46,
  sqrt: 47,
  exp: 48,
  log: 49,
  sin: 50,
  cos: 51,
  tan: 52,
  asin: 53,
  acos: 54,
  atan: 55,
  tanh: 56,
  erf: 57,
  sigmoid: 58,
  power: 59,
  modulo: 60,
  minimum: 61,
  maximum: 62,
  equal: 63,
  not_equal: 64,
  less: 65,
  less_equal: 66,
  reduce_sum: 67,
  reduce_product: 68,
  reduce_max: 69,
  reduce_min: 70,
  select: 71,
  arg_max: 72,
  arg_min: 73,
  cumulative_sum: 74,
  take: 75,
  scatter_add: 76,
  place: 77,
  sort: 78,
  random_uniform: 79,
  random_normal: 80,
  elementwise_chain: 81,
  concat: 82,
} as const;
export type OpName = keyof typeof Op;

export const Plain = {
  f32: 0,
  f16: 1,
  bf16: 2,
  i32: 3,
  i8: 4,
  u8: 5,
  i4: 6,
  f64: 7,
  bool: 8,
} as const;
export type PlainName = keyof typeof Plain;

export const Activation = {
  relu2: 0,
  silu: 1,
} as const;
export type ActivationName = keyof typeof Activation;

export const ChainOp = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  power: 4,
  modulo: 5,
  minimum: 6,
  maximum: 7,
  equal: 8,
  not_equal: 9,
  less: 10,
  less_equal: 11,
  neg: 12,
  abs: 13,
  floor: 14,
  ceil: 15,
  round: 16,
  sqrt: 17,
  exp: 18,
  log: 19,
  sin: 20,
  cos: 21,
  tan: 22,
  asin: 23,
  acos: 24,
  atan: 25,
  tanh: 26,
  erf: 27,
  sigmoid: 28,
  select: 29,
  copy: 30,
} as const;
export type ChainOpName = keyof typeof ChainOp;

export const ChainShift = {
  a: 8,
  b: 12,
  c: 16,
  to: 20,
  dtype: 24,
} as const;
export type ChainShiftName = keyof typeof ChainShift;

export const SamplingColumn = {
  temperature: 0,
  top_k: 1,
  top_p: 2,
  min_p: 3,
  typical_p: 4,
  repetition_penalty: 5,
  no_repeat_ngram: 6,
  reserved: 7,
} as const;
export type SamplingColumnName = keyof typeof SamplingColumn;

export const RandomWord = {
  seed_low: 0,
  seed_high: 1,
  sequence: 2,
  step: 3,
} as const;
export type RandomWordName = keyof typeof RandomWord;

export const RegionKind = {
  arena: 0,
  constant: 1,
  state: 2,
  input: 3,
  output: 4,
} as const;
export type RegionKindName = keyof typeof RegionKind;

export const InstrFlag = {
  barrier_before: 1,
  serial: 2,
  commit: 4,
} as const;
export type InstrFlagName = keyof typeof InstrFlag;

export const RunState = {
  queued: 0,
  running: 1,
  done: 2,
  aborted: 3,
  failed: 4,
} as const;
export type RunStateName = keyof typeof RunState;

export const MemoryTag = {
  weights: 0,
  kv_cache: 1,
  arena: 2,
  input: 3,
  staging: 4,
  tensor: 5,
  other: 6,
  bookkeeping: 7,
} as const;
export type MemoryTagName = keyof typeof MemoryTag;

export const Probe = {
  read_bytes_per_second: 0,
  int8_ops_per_second: 1,
  f32_flops_per_second: 2,
} as const;
export type ProbeName = keyof typeof Probe;

export const Isa = {
  scalar: 0,
  v2: 1,
  avx2: 2,
  avxvnni: 3,
  avx512vnni: 4,
  avx512vbmi: 5,
  neon: 6,
  dotprod: 7,
  i8mm: 8,
} as const;
export type IsaName = keyof typeof Isa;

export const MapMode = {
  read_only: 0,
  copy_on_write: 1,
} as const;
export type MapModeName = keyof typeof MapMode;

export const MapAdvice = {
  normal: 0,
  sequential: 1,
  random: 2,
  will_need: 3,
  cold: 4,
} as const;
export type MapAdviceName = keyof typeof MapAdvice;

export const PoolLevel = {
  none: 0,
  basic: 1,
  standard: 2,
  detailed: 3,
} as const;
export type PoolLevelName = keyof typeof PoolLevel;

export const RegionFlag = {
  sparse: 1,
  uninitialised: 2,
} as const;
export type RegionFlagName = keyof typeof RegionFlag;

export const PoolFlag = {
  debug: 1,
  small_pages: 2,
  idle_limited: 4,
} as const;
export type PoolFlagName = keyof typeof PoolFlag;

export const PoolManner = {
  alignment_log2_shift: 8,
  zeroed: 65536,
  sparse: 131072,
} as const;
export type PoolMannerName = keyof typeof PoolManner;

export const PoolTable = {
  classes: 0,
  tags: 1,
  samples: 2,
  events: 3,
  blocks: 4,
  faults: 5,
} as const;
export type PoolTableName = keyof typeof PoolTable;

export const PoolNameKind = {
  tag: 0,
  label: 1,
} as const;
export type PoolNameKindName = keyof typeof PoolNameKind;

export const PoolEventKind = {
  allocate: 0,
  free: 1,
  refuse: 2,
  trim: 3,
} as const;
export type PoolEventKindName = keyof typeof PoolEventKind;

export const PoolFaultKind = {
  double_free: 0,
  foreign_pointer: 1,
  wrong_size: 2,
  written_before_start: 3,
  written_past_end: 4,
  written_after_free: 5,
} as const;
export type PoolFaultKindName = keyof typeof PoolFaultKind;

export const HeaderLayout = {
  size: 48,
  fields: {
    magic: [0, "u32"],
    abi_hash: [4, "u32"],
    region_count: [8, "u32"],
    stride_count: [12, "u32"],
    slot_count: [16, "u32"],
    sym_count: [20, "u32"],
    dim_count: [24, "u32"],
    operand_count: [28, "u32"],
    attr_count: [32, "u32"],
    instr_count: [36, "u32"],
    feedback_count: [40, "u32"],
  },
} as const;

export const SymLayout = {
  size: 8,
  fields: {
    min: [0, "u32"],
    max: [4, "u32"],
  },
} as const;

export const RegionLayout = {
  size: 16,
  fields: {
    kind: [0, "u32"],
    alignment: [4, "u32"],
    size_at_max: [8, "u64"],
  },
} as const;

export const DimLayout = {
  size: 12,
  fields: {
    sym: [0, "u16"],
    mul: [4, "u32"],
    add: [8, "u32"],
  },
} as const;

export const SlotLayout = {
  size: 32,
  fields: {
    offset: [0, "u64"],
    region: [8, "u16"],
    dtype: [10, "u8"],
    layout: [11, "u8"],
    rank: [12, "u8"],
    dims: [16, "u32"],
    strides: [20, "u32"],
    row_scale_slot: [24, "u32"],
  },
} as const;

export const InstrLayout = {
  size: 24,
  fields: {
    op: [0, "u16"],
    flags: [2, "u16"],
    input_count: [4, "u8"],
    output_count: [5, "u8"],
    operands: [8, "u32"],
    attrs: [12, "u32"],
    predicate_slot: [16, "u32"],
    cost: [20, "u32"],
  },
} as const;

export const FeedbackLayout = {
  size: 8,
  fields: {
    from: [0, "u32"],
    to: [4, "u32"],
  },
} as const;

export const RegionBindingLayout = {
  size: 16,
  fields: {
    handle: [0, "u32"],
    offset: [8, "u64"],
  },
} as const;

export const RunArgsLayout = {
  size: 24,
  fields: {
    size: [0, "u32"],
    steps: [4, "u32"],
    region_count: [8, "u32"],
    sym_count: [12, "u32"],
    thread_count: [16, "u32"],
    path_size: [20, "u32"],
  },
} as const;

export const FileReadingLayout = {
  size: 48,
  fields: {
    region: [0, "u32"],
    region_offset: [8, "u64"],
    offset: [16, "u64"],
    size: [24, "u64"],
    ahead_offset: [32, "u64"],
    ahead_size: [40, "u64"],
  },
} as const;

export const RunStatusLayout = {
  size: 24,
  fields: {
    state: [0, "u32"],
    steps_done: [4, "u32"],
    instr: [8, "u32"],
    fault: [12, "u32"],
    fault_detail: [16, "i64"],
  },
} as const;

export const ProfileEventLayout = {
  size: 16,
  fields: {
    start_ns: [0, "u64"],
    duration_ns: [8, "u32"],
    instr: [12, "u32"],
  },
} as const;

export const MemoryMetricsLayout = {
  size: 112,
  fields: {
    used_weights: [0, "u64"],
    used_kv_cache: [8, "u64"],
    used_arena: [16, "u64"],
    used_input: [24, "u64"],
    used_staging: [32, "u64"],
    used_tensor: [40, "u64"],
    used_other: [48, "u64"],
    used_bookkeeping: [56, "u64"],
    peak: [64, "u64"],
    held: [72, "u64"],
    limit: [80, "u64"],
    total: [88, "u64"],
    mapped: [96, "u64"],
    region_count: [104, "u32"],
  },
} as const;

export const SystemMemoryLayout = {
  size: 32,
  fields: {
    total: [0, "u64"],
    available: [8, "u64"],
    limit: [16, "u64"],
    resident: [24, "u64"],
  },
} as const;

export const ConversionLayout = {
  size: 48,
  fields: {
    count: [0, "u64"],
    source_size: [8, "u64"],
    target_size: [16, "u64"],
    from: [24, "u32"],
    to: [28, "u32"],
    scale: [32, "f32"],
    zero_point: [36, "i32"],
    thread_count: [40, "u32"],
    measured: [44, "u32"],
  },
} as const;

export const ConversionLossLayout = {
  size: 32,
  fields: {
    sum: [0, "f64"],
    largest: [8, "f64"],
    clipped: [16, "f64"],
    nans: [24, "f64"],
  },
} as const;

export const CoreInfoLayout = {
  size: 20,
  fields: {
    thread_count: [0, "u32"],
    thread_count_max: [4, "u32"],
    isa_available: [8, "u32"],
    isa: [12, "u32"],
    page_size: [16, "u32"],
  },
} as const;

export const BlockSizesLayout = {
  size: 12,
  fields: {
    ternary_columns: [0, "u32"],
    ternary_size: [4, "u32"],
    dense_columns: [8, "u32"],
  },
} as const;

export const PoolOptionsLayout = {
  size: 24,
  fields: {
    size_max: [0, "u64"],
    idle_size_max: [8, "u64"],
    level: [16, "u32"],
    flags: [20, "u32"],
  },
} as const;

export const PoolMetricsLayout = {
  size: 216,
  fields: {
    used: [0, "u64"],
    peak_used: [8, "u64"],
    held: [16, "u64"],
    peak_held: [24, "u64"],
    size_max: [32, "u64"],
    total: [40, "u64"],
    reserved: [48, "u64"],
    spans: [56, "u64"],
    blocks: [64, "u64"],
    small_blocks: [72, "u64"],
    buddy_blocks: [80, "u64"],
    direct_blocks: [88, "u64"],
    live_count: [96, "u64"],
    allocated_count: [104, "u64"],
    freed_count: [112, "u64"],
    refused_count: [120, "u64"],
    fault_count: [128, "u64"],
    free: [136, "u64"],
    largest_free: [144, "u64"],
    idle: [152, "u64"],
    meta: [160, "u64"],
    mapped_files: [168, "u64"],
    now_ns: [176, "u64"],
    thread_count: [184, "u32"],
    arena_count: [188, "u32"],
    mapping_count: [192, "u32"],
    internal_fragmentation: [200, "f64"],
    external_fragmentation: [208, "f64"],
  },
} as const;

export const PoolClassLayout = {
  size: 16,
  fields: {
    size: [0, "u64"],
    live_count: [8, "u64"],
  },
} as const;

export const PoolTagLayout = {
  size: 48,
  fields: {
    used: [0, "u64"],
    live_count: [8, "u64"],
    allocated_count: [16, "u64"],
    ended_count: [24, "u64"],
    lifetime_total_ns: [32, "u64"],
    lifetime_max_ns: [40, "u64"],
  },
} as const;

export const PoolSampleLayout = {
  size: 24,
  fields: {
    time_ns: [0, "u64"],
    used_max: [8, "u64"],
    held_max: [16, "u64"],
  },
} as const;

export const PoolEventLayout = {
  size: 48,
  fields: {
    time_ns: [0, "u64"],
    address: [8, "u64"],
    size: [16, "u64"],
    used: [24, "u64"],
    thread: [32, "u64"],
    label: [40, "u32"],
    tag: [44, "u16"],
    kind: [46, "u8"],
  },
} as const;

export const PoolRecordLayout = {
  size: 64,
  fields: {
    address: [0, "u64"],
    size: [8, "u64"],
    allocated_ns: [16, "u64"],
    freed_ns: [24, "u64"],
    thread: [32, "u64"],
    freed_thread: [40, "u64"],
    return_address: [48, "u64"],
    label: [56, "u32"],
    tag: [60, "u16"],
    alignment_log2: [62, "u8"],
  },
} as const;

export const PoolFaultLayout = {
  size: 24,
  fields: {
    kind: [0, "u32"],
    address: [8, "u64"],
    time_ns: [16, "u64"],
  },
} as const;

/** Attribute words of ops, in order; others have none. */
export const opAttrs = {
  rms_norm: [["eps", "f32"]],
  rms_norm_quantize: [["eps", "f32"]],
  quantize_rows: [["levels", "u32"]],
  ternary_matmul: [["has_bias", "u32"], ["has_residual", "u32"]],
  dense_matmul: [["has_bias", "u32"]],
  rope_angles: [["scale", "f32"]],
  attention: [["scale", "f32"]],
  gated_activation: [["activation", "u32"]],
  triangular_solve: [["lower", "u32"], ["unit", "u32"]],
  convert: [["scale", "f32"], ["zero_point", "i32"], ["has_losses", "u32"]],
  unpack_packed: [["packing", "u32"], ["rows", "u32"], ["columns", "u32"]],
  reduce_sum: [["axes", "u32"]],
  reduce_product: [["axes", "u32"]],
  reduce_max: [["axes", "u32"]],
  reduce_min: [["axes", "u32"]],
  place: [["offset", "u32"], ["stride_0", "i32"], ["stride_1", "i32"], ["stride_2", "i32"], ["stride_3", "i32"], ["stride_4", "i32"], ["stride_5", "i32"]],
  concat: [["axis", "u32"]],
  sort: [["descending", "u32"]],
  elementwise_chain: [["count", "u32"], ["step_0", "u32"], ["step_1", "u32"], ["step_2", "u32"], ["step_3", "u32"], ["step_4", "u32"], ["step_5", "u32"], ["step_6", "u32"], ["step_7", "u32"], ["step_8", "u32"], ["step_9", "u32"], ["step_10", "u32"], ["step_11", "u32"], ["step_12", "u32"], ["step_13", "u32"], ["step_14", "u32"]],
} as const;

/** The core's functions, in the words of bun:ffi. */
export const functions = {
  bn_core_hash: { args: [], returns: "u32" },
  bn_core_open: { args: ["ptr", "u32", "u32"], returns: "i32" },
  bn_core_info: { args: ["ptr"], returns: "i32" },
  bn_core_probe: { args: ["u32", "u32", "f64", "ptr"], returns: "i32" },
  bn_core_blocks: { args: ["ptr"], returns: "i32" },
  bn_core_stream: { args: ["f64", "f64", "u32", "u32", "f64", "ptr"], returns: "i32" },
  bn_core_close: { args: [], returns: "i32" },
  bn_error_text: { args: ["ptr", "u32"], returns: "u32" },
  bn_region_create: { args: ["f64", "u32", "u32", "ptr"], returns: "i32" },
  bn_region_map: { args: ["ptr", "u32", "f64", "f64", "u32", "ptr"], returns: "i32" },
  bn_region_read: { args: ["u32", "f64", "ptr", "u32", "f64", "f64"], returns: "i32" },
  bn_region_address: { args: ["u32", "ptr"], returns: "i32" },
  bn_region_check_file: { args: ["u32"], returns: "i32" },
  bn_region_advise: { args: ["u32", "u32", "f64", "f64"], returns: "i32" },
  bn_region_discard: { args: ["u32", "f64", "f64", "ptr"], returns: "i32" },
  bn_region_forgetter: { args: ["ptr"], returns: "i32" },
  bn_region_release: { args: ["u32"], returns: "i32" },
  bn_memory_system: { args: ["ptr"], returns: "i32" },
  bn_memory_metrics: { args: ["ptr"], returns: "i32" },
  bn_pool_create: { args: ["ptr", "ptr"], returns: "i32" },
  bn_pool_options: { args: ["u32", "ptr"], returns: "i32" },
  bn_pool_hold: { args: ["u32"], returns: "i32" },
  bn_pool_release: { args: ["u32"], returns: "i32" },
  bn_pool_forgetter: { args: ["ptr"], returns: "i32" },
  bn_pool_allocate: { args: ["u32", "f64", "u32", "u32"], returns: "f64" },
  bn_pool_free: { args: ["u32", "f64", "f64", "u32"], returns: "i32" },
  bn_pool_region: { args: ["u32", "f64", "f64", "u32", "ptr"], returns: "i32" },
  bn_pool_number: { args: ["u32", "u32", "ptr", "u32", "ptr"], returns: "i32" },
  bn_pool_name: { args: ["u32", "u32", "u32", "ptr", "u32"], returns: "u32" },
  bn_pool_metrics: { args: ["u32", "ptr"], returns: "i32" },
  bn_pool_read: { args: ["u32", "u32", "ptr", "u32", "ptr"], returns: "i32" },
  bn_pool_explain: { args: ["u32", "f64", "ptr", "u32"], returns: "u32" },
  bn_pool_validate: { args: ["u32", "ptr"], returns: "i32" },
  bn_pool_trim: { args: ["u32"], returns: "i32" },
  bn_memory_watch: { args: ["u32", "u32"], returns: "i32" },
  bn_memory_trim: { args: ["ptr"], returns: "i32" },
  bn_memory_limit: { args: ["f64"], returns: "i32" },
  bn_convert: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  bn_program_create: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  bn_program_forgetter: { args: ["ptr"], returns: "i32" },
  bn_program_release: { args: ["u32"], returns: "i32" },
  bn_run_now: { args: ["u32", "ptr", "u32", "ptr"], returns: "i32" },
  bn_run_here: { args: ["u32", "ptr", "u32", "ptr"], returns: "i32" },
  bn_run_submit: { args: ["u32", "ptr", "u32", "ptr"], returns: "i32" },
  bn_run_poll: { args: ["u32", "ptr"], returns: "i32" },
  bn_run_cancel: { args: ["u32"], returns: "i32" },
  bn_run_wait: { args: ["u32", "u32"], returns: "i32" },
  bn_run_forgetter: { args: ["ptr"], returns: "i32" },
  bn_run_release: { args: ["u32"], returns: "i32" },
  bn_notify_set: { args: ["ptr"], returns: "i32" },
  bn_notify_ack: { args: [], returns: "i32" },
  bn_profile_set: { args: ["u32", "u32", "u32"], returns: "i32" },
  bn_profile_read: { args: ["u32", "ptr", "u32"], returns: "i32" },
  bn_profile_events: { args: ["u32", "ptr", "u32", "ptr"], returns: "i32" },
} as const;
