/**
 * Talks to a hub through @huggingface/hub, and for file contents directly: each request bears
 * the token at the endpoint alone, may be aborted, fails when nothing arrives for long, and each
 * failure is a BitNetError with its remedy.
 */
import { BitNetError } from "../errors/index.ts";
import { checkFileName } from "./names.ts";
import type { HubOptions, RepoFile } from "./types.ts";

const defaultEndpoint = "https://huggingface.co";
/** How long a hub may be silent before an answer. */
const answerMsMax = 60_000;
const answerBytesMax = 32 << 20;
const redirectsMax = 5;
const filesMax = 20_000;

/** A repository at one revision. */
export interface RepoRef {
  name: string;
  revision: string;
}

/** A hub, as one caller may use it. */
export class HubClient {
  readonly endpoint: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor({ endpoint, token, signal }: Pick<HubOptions, "endpoint" | "token" | "signal">) {
    this.endpoint = checkEndpoint(endpoint ?? defaultEndpoint);
    this.#token = token === "" ? undefined : token;
    this.#signal = signal;
  }

  /** The commit that a branch or tag stands for. */
  async commitOf({ name, revision }: RepoRef): Promise<string> {
    const { modelInfo } = await import("@huggingface/hub");
    const info = await this.#api(name, () =>
      modelInfo({
        name,
        revision,
        hubUrl: this.endpoint,
        additionalFields: ["sha"],
        fetch: this.#fetchLike(name),
      }),
    );
    if (typeof info.sha === "string" && /^[0-9a-f]{7,64}$/.test(info.sha)) return info.sha;
    throw badResponse(name, `a commit hash for ${revision}`, info.sha);
  }

  /** All files of a repository. @throws BitNetError hub/unsafe-path, hub/bad-response */
  async filesOf({ name, revision }: RepoRef): Promise<RepoFile[]> {
    const { listFiles } = await import("@huggingface/hub");
    const files: RepoFile[] = [];
    const list = { repo: name, revision, recursive: true, hubUrl: this.endpoint };
    await this.#api(name, async () => {
      for await (const entry of listFiles({ ...list, fetch: this.#fetchLike(name) })) {
        const file = readEntry(entry, name);
        if (file !== undefined) files.push(file);
        if (files.length > filesMax) throw badResponse(name, `at most ${filesMax} files`, "more");
      }
    });
    return files;
  }

  /** The content of a file from `offset` on; the server may send all of it instead (200). */
  async open({ name, revision }: RepoRef, path: string, offset: number): Promise<Response> {
    const encoded = path.split("/").map(encodeURIComponent).join("/");
    const url = `${this.endpoint}/${name}/resolve/${encodeURIComponent(revision)}/${encoded}`;
    const headers = new Headers({ "accept-encoding": "identity" });
    if (offset > 0) headers.set("range", `bytes=${offset}-`);
    return this.#withDeadline((signal) => this.#fetch(name, new URL(url), { headers, signal }));
  }

  /** The `fetch` that the library is given: the whole answer, within the deadline. */
  #fetchLike(name: string): typeof fetch {
    const fetchLike = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
      const url = new URL(input instanceof Request ? input.url : input);
      return this.#withDeadline(async (signal) => {
        const response = await this.#fetch(name, url, { ...init, signal });
        const { status, headers } = response;
        return new Response(await readAnswer(response, name), { status, headers });
      });
    };
    return Object.assign(fetchLike, { preconnect: fetch.preconnect });
  }

  async #withDeadline(run: (signal: AbortSignal) => Promise<Response>): Promise<Response> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new Error(`no answer for ${answerMsMax / 1000} seconds`));
    }, answerMsMax);
    const signals = this.#signal === undefined ? [late.signal] : [late.signal, this.#signal];
    try {
      return await run(AbortSignal.any(signals));
    } catch (cause) {
      this.#signal?.throwIfAborted();
      if (cause instanceof BitNetError) throw cause;
      throw unreachable(new URL(this.endpoint).origin, cause);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Follows redirects itself, so that no token reaches another origin. */
  async #fetch(name: string, from: URL, init: RequestInit): Promise<Response> {
    let url = from;
    for (let hop = 0; hop <= redirectsMax; hop++) {
      const response = await this.#fetchOnce(url, init);
      const target = response.headers.get("location");
      const isRedirect = response.status >= 300 && response.status < 400 && target !== null;
      if (!isRedirect) {
        if (response.ok || response.status === 416) return response;
        throw await refusalOf(response, { name, hasToken: this.#token !== undefined });
      }
      await response.body?.cancel();
      url = new URL(target, url);
      if (url.protocol !== "http:" && url.protocol !== "https:") break;
    }
    throw badResponse(name, `at most ${redirectsMax} redirects to web addresses`, url.href);
  }

  async #fetchOnce(url: URL, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("user-agent", "bitnet-bun");
    headers.delete("authorization");
    if (this.#token !== undefined && url.origin === new URL(this.endpoint).origin) {
      headers.set("authorization", `Bearer ${this.#token}`);
    }
    try {
      return await fetch(url, { ...init, headers, redirect: "manual" });
    } catch (cause) {
      this.#signal?.throwIfAborted();
      throw unreachable(url.origin, cause);
    }
  }

  /** Runs a call of the library; what it throws besides our own errors is a broken answer. */
  async #api<T>(name: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      this.#signal?.throwIfAborted();
      if (cause instanceof BitNetError) throw cause;
      throw badResponse(name, "an answer in the hub's format", cause);
    }
  }
}

/** The body of an answer, which is JSON and never large. */
async function readAnswer(response: Response, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const sink = new Bun.ArrayBufferSink();
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw badResponse(name, `at most ${answerBytesMax} bytes`, "more");
    sink.write(chunk);
  }
  return new Uint8Array(sink.end() as ArrayBuffer);
}

/** @throws BitNetError hub/invalid-option */
function checkEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url?.protocol === "https:" || url?.protocol === "http:") {
    return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  }
  throw new BitNetError(
    "hub/invalid-option",
    `endpoint: expected an http or https address, got ${JSON.stringify(endpoint)}`,
  );
}

interface Entry {
  type?: unknown;
  path?: unknown;
  size?: unknown;
  oid?: unknown;
  lfs?: { oid?: unknown; size?: unknown };
}

/** A listed file; undefined for a folder. */
function readEntry(entry: Entry, repo: string): RepoFile | undefined {
  const { path, type } = entry;
  if (typeof path !== "string") throw badResponse(repo, "entries with a path", entry);
  checkFileName(path, repo);
  if (type !== "file") return undefined;
  const bytes = entry.lfs?.size ?? entry.size;
  if (!Number.isSafeInteger(bytes) || Number(bytes) < 0) {
    throw badResponse(repo, `the size of ${path}`, bytes);
  }
  const sha256 = entry.lfs?.oid;
  const isHash = typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
  const id = isHash ? sha256 : typeof entry.oid === "string" ? entry.oid : `${bytes}`;
  return { path, bytes: Number(bytes), id, ...(isHash && { sha256 }) };
}

/** An answer that tells of a refusal, in our words. */
async function refusalOf(
  response: Response,
  { name, hasToken }: { name: string; hasToken: boolean },
): Promise<BitNetError> {
  await response.body?.cancel();
  const { status } = response;
  const reason = response.headers.get("x-error-code") ?? "";
  const tokenHint = hasToken ? "your token may not read it" : "set HF_TOKEN to your access token";
  if (reason === "GatedRepo" || status === 403) {
    const licence = "accept its terms on the model's page";
    const text = `${name}: the hub does not give access (${status}); ${licence}, and ${tokenHint}`;
    return new BitNetError("hub/unauthorized", text);
  }
  if (status === 401) {
    const text = `${name}: the hub knows no such public model (401); check the name, or ${tokenHint}`;
    return new BitNetError("hub/unauthorized", text);
  }
  if (status === 404) {
    const what = reason === "RevisionNotFound" ? "no such revision" : "no such model or file";
    return new BitNetError("hub/not-found", `${name}: ${what} on the hub (404); check the name`);
  }
  if (status === 429 || status >= 500) {
    const text = `${name}: the hub is busy or broken (${status}); try again later`;
    return new BitNetError("hub/unreachable", text);
  }
  return badResponse(name, "an answer", `status ${status}`);
}

/** @returns the error for an answer that is none */
export function badResponse(name: string, expected: string, got: unknown): BitNetError {
  const isError = got instanceof Error;
  const shown = isError ? got.message : (JSON.stringify(got) ?? String(got)).slice(0, 200);
  return new BitNetError(
    "hub/bad-response",
    `${name}: expected ${expected} from the hub, got ${shown}; check the endpoint`,
    isError ? { cause: got } : undefined,
  );
}

/** @returns the error for a hub that does not answer */
export function unreachable(origin: string, cause: unknown): BitNetError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BitNetError(
    "hub/unreachable",
    `${origin} does not answer: ${reason}; check the network, or work offline with a pulled model`,
    { cause },
  );
}
