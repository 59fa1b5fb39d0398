/**
 * How the tensors of one file lie: sorted by offset they must not overlap and must end inside the
 * file. A layout that is tight up to the file's end and then goes on is a file cut short.
 */
import { quoted, refuse } from "./refuse.ts";
import type { TensorEntry } from "./types.ts";

/** The data section of a file. */
export interface DataSection {
  file: string;
  /** Absolute offset of the first data byte. */
  start: number;
  fileBytes: number;
  /** 1 for safetensors; GGUF pads each tensor to a multiple of this. */
  alignment: number;
  /** Whether bytes that no tensor owns, between tensors or after the last, are refused. */
  isTight: boolean;
}

/** @throws BitNetError checkpoint/overlap, gap, out-of-range, truncated or trailing-bytes */
export function checkLayout(entries: Iterable<TensorEntry>, section: DataSection): void {
  const { file, fileBytes, alignment } = section;
  const sorted = [...entries].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = section.start;
  let isContiguous = true;
  let before = "the header";
  for (const entry of sorted) {
    const next = alignUp(end, alignment);
    if (entry.offset < end) {
      refuse("checkpoint/overlap", {
        file,
        expected: `${quoted(entry.name)} to begin at byte ${end} or later, after ${before}`,
        got: `byte ${entry.offset}`,
      });
    }
    if (entry.offset > next) isContiguous = false;
    if (entry.offset + entry.bytes > fileBytes) beyondEnd(entry, section, isContiguous);
    if (entry.offset > next && section.isTight) {
      refuse("checkpoint/gap", {
        file,
        expected: `${quoted(entry.name)} to begin at byte ${next}, right after ${before}`,
        got: `byte ${entry.offset}`,
      });
    }
    end = entry.offset + entry.bytes;
    before = quoted(entry.name);
  }
  if (section.isTight && end !== fileBytes) {
    refuse("checkpoint/trailing-bytes", {
      file,
      expected: `the file to end at byte ${end}, after ${before}`,
      got: `${fileBytes} bytes`,
    });
  }
}

/** The next multiple of `alignment` at or after `offset`. */
export function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

function beyondEnd(entry: TensorEntry, section: DataSection, isContiguous: boolean): never {
  const end = entry.offset + entry.bytes;
  refuse(isContiguous ? "checkpoint/truncated" : "checkpoint/out-of-range", {
    file: section.file,
    expected: `${end} bytes, for ${quoted(entry.name)} at ${entry.offset} to ${end}`,
    got: `${section.fileBytes} bytes`,
    remedy: isContiguous ? "the file is cut short: fetch it again" : "the file's offsets are wrong",
  });
}
