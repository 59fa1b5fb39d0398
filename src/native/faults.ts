/** What a kernel refused in its data, as the error that people get. */
import { BitNetError, type ErrorCode } from "../errors/index.ts";
import { FaultCode, type FaultCodeName } from "./abi.gen.ts";
import type { FileRange } from "./region.ts";

/** The words of a refusal that has a code of its own; `place` is what the kernel says of it. */
interface Refusal {
  code: ErrorCode;
  told: (matrix: number, place: number) => string;
}

const refusals: Partial<Record<FaultCodeName, Refusal>> = {
  matrix_not_finite: {
    code: "linalg/not-finite",
    told: (matrix, row) => `want finite elements, but matrix ${matrix} has others in row ${row}`,
  },
  matrix_singular: {
    code: "linalg/singular",
    told: (matrix, column) =>
      `want invertible matrices, but matrix ${matrix} has no pivot in column ${column}`,
  },
  matrix_not_positive_definite: {
    code: "linalg/not-positive-definite",
    told: (matrix, minor) =>
      `want positive definite matrices, but of matrix ${matrix} the leading minor of order ` +
      `${minor} is not positive`,
  },
  matrix_not_converged: {
    code: "linalg/not-converged",
    told: (matrix) => `the values of matrix ${matrix} did not converge`,
  },
};

const readingFaults: Partial<Record<FaultCodeName, string>> = {
  file_not_found: "the file cannot be opened",
  file_unreadable: "the file cannot be read",
  file_truncated: "the file is shorter than expected",
};

/** The error for what could not be read before the first step; undefined for another fault. */
export function readingError(fault: number, from: FileRange): BitNetError | undefined {
  const text = readingFaults[nameOf(fault)];
  if (text === undefined) return undefined;
  const { path, offset, size } = from;
  return new BitNetError("native/io", `reading ${size} bytes at ${offset} of ${path}: ${text}`);
}

function nameOf(fault: number): FaultCodeName {
  const found = Object.entries(FaultCode).find(([, code]) => code === fault);
  return (found?.[0] ?? "none") as FaultCodeName;
}

/** The error for a fault of an instruction; what `detail` says, zig/kernels/task.zig knows. */
export function faultError(fault: number, detail: number, instr: number): BitNetError {
  const name = nameOf(fault);
  const refusal = refusals[name];
  if (refusal) {
    const matrix = Math.floor(detail / 2 ** 32);
    return new BitNetError(refusal.code, refusal.told(matrix, detail % 2 ** 32));
  }
  return new BitNetError(
    "native/run-failed",
    `instruction ${instr} refused its data: ${name.replaceAll("_", " ")} (${detail})`,
  );
}
