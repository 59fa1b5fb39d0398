/** Which files of a repository a model needs: configuration, tokenizer, weights in one format. */
import { BitNetError } from "../errors/index.ts";
import type { RepoFile } from "./types.ts";

const texts =
  /^(config|generation_config|special_tokens_map|added_tokens|tokenizer[^/]*|preprocessor_config)\.json$|^chat_template\.(jinja|json)$/;

/**
 * The named file alone, or safetensors with all that goes with them, or the only GGUF file.
 * @throws BitNetError hub/no-model-files, hub/not-found
 */
export function selectFiles(
  files: readonly RepoFile[],
  { name, file }: { name: string; file?: string | undefined },
): RepoFile[] {
  if (file !== undefined) return [namedFile(files, { name, file })];
  const weights = safetensorsOf(files);
  if (weights.length > 0) {
    return [...files.filter(({ path }) => texts.test(path)), ...weights];
  }
  const ggufs = files.filter(({ path }) => path.endsWith(".gguf"));
  if (ggufs.length === 1) return ggufs;
  const choice = ggufs.map(({ path }) => path).join(", ");
  const got = ggufs.length === 0 ? "neither" : `${ggufs.length} GGUF files: ${choice}`;
  const remedy = ggufs.length === 0 ? "choose another repository" : "name one with `file`";
  throw new BitNetError(
    "hub/no-model-files",
    `${name}: expected safetensors or one GGUF file, got ${got}; ${remedy}`,
  );
}

/** Files of the usual name where there are any, since some repositories hold the weights twice. */
function safetensorsOf(files: readonly RepoFile[]): RepoFile[] {
  const all = files.filter(({ path }) => /^[^/]+\.safetensors(\.index\.json)?$/.test(path));
  const usual = all.filter(({ path }) => /^model([.-]|$)/.test(path));
  return usual.some(({ path }) => path.endsWith(".safetensors")) ? usual : all;
}

function namedFile(
  files: readonly RepoFile[],
  { name, file }: { name: string; file: string },
): RepoFile {
  const found = files.find(({ path }) => path === file);
  if (found !== undefined) return found;
  const ggufs = files.filter(({ path }) => path.endsWith(".gguf")).map(({ path }) => path);
  throw new BitNetError(
    "hub/not-found",
    `${name}: expected the file ${JSON.stringify(file)}, which the repository does not hold` +
      (ggufs.length === 0 ? "" : `; it has ${ggufs.slice(0, 20).join(", ")}`),
  );
}
