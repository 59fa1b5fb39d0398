/** Options and results of pulling, finding and listing models. */

/** How far a pull has come. Bytes and files count over the whole model. */
export interface PullProgress {
  /** The file at work, as the hub names it. */
  file: string;
  bytesDone: number;
  bytesTotal: number;
  filesDone: number;
  filesTotal: number;
}

/** Where models come from and where they are kept. */
export interface HubOptions {
  /** The folder that holds `<owner>/<name>/<revision>/`. */
  cacheDir: string;
  /** Base address of the hub. Default: https://huggingface.co. */
  endpoint?: string;
  /** An access token, for private and gated models. Sent to the endpoint alone. */
  token?: string;
  /** A branch, a tag or a commit. Default "main". */
  revision?: string;
  /** The one file to pull, a GGUF of several for example. */
  file?: string;
  /** Uses what the cache holds and never the network. */
  offline?: boolean;
  /** Attempts to go on, in a row and without a byte coming, before a pull fails. Default 5. */
  retries?: number;
  signal?: AbortSignal;
  onProgress?: (progress: PullProgress) => void;
}

/** What a pull has brought, or found in place. */
export interface PulledModel {
  /** The folder of the model, or its one file where one was asked for or is all there is. */
  path: string;
  /** The commit. */
  revision: string;
  files: number;
  bytes: number;
}

/** A model in the cache. */
export interface CachedModel extends PulledModel {
  /** `owner/name`. */
  name: string;
  /** When it was pulled, in ISO 8601. */
  pulledAt: string;
}

/** A file of a repository, checked. */
export interface RepoFile {
  path: string;
  bytes: number;
  /** What tells this content from any other of the same name. */
  id: string;
  /** Told for files in large file storage. */
  sha256?: string;
}
