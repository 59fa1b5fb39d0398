/** How much room the files of a folder take. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** The sizes of all files below `folder`, together; 0 when it is not there. */
export async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
