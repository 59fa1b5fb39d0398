/**
 * A hub on this machine, for tests: the routes that a pull uses, with faults on demand. Large
 * files redirect to a second server of another origin, as the hub's do.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A file of the repository `tiny/model`. */
export interface HubFile {
  path: string;
  content: Uint8Array<ArrayBuffer>;
  isLarge?: boolean;
  /** Instead of the true hash. */
  sha256?: string;
}

/** What goes wrong. Each is read at every request. */
export interface HubFaults {
  /** Answer the API with this status. */
  status?: number;
  errorCode?: string;
  /** Cut the connection after so many bytes of a file's answer; so many times. */
  cutAfter?: number;
  cutsLeft?: number;
  /** Answer ranges with the whole file. */
  ignoresRanges?: boolean;
  /** Answer the API with this body. */
  body?: string;
  /** Milliseconds between chunks of 16 KiB. */
  chunkMs?: number;
  /** Answer requests for contents with this status. */
  contentStatus?: number;
  /** Answer them so from the first cut on. */
  statusAfterCut?: number;
}

export interface SeenRequest {
  path: string;
  origin: "hub" | "cdn";
  range: string | null;
  authorization: string | null;
}

export const commit = "0123456789abcdef0123456789abcdef01234567";
export const repo = "tiny/model";

export class TestHub {
  faults: HubFaults = {};
  readonly seen: SeenRequest[] = [];
  files: HubFile[];
  sha = commit;
  /** The token that the repository asks for. */
  token: string | undefined;
  readonly #hub: Bun.Server<undefined>;
  readonly #cdn: Server;

  constructor(files: HubFile[]) {
    this.files = files;
    this.#cdn = createServer((request, answer) => this.#answer(request, answer));
    this.#cdn.listen(0, "127.0.0.1");
    this.#hub = Bun.serve({ port: 0, fetch: (request) => this.#route(request) });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.port}`;
  }

  /** Requests for contents of `path`. */
  requestsFor(path: string): SeenRequest[] {
    return this.seen.filter((one) => one.path.endsWith(`/${path}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hub.stop(true);
    this.#cdn.closeAllConnections();
    this.#cdn.close();
  }

  #route(request: Request): Response | Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const isApi = pathname.startsWith("/api/");
    if (isApi) this.#see(request, "hub");
    const { status, errorCode, body } = this.faults;
    if (isApi && status !== undefined) return refusal(status, errorCode);
    if (isApi && body !== undefined) return new Response(body);
    if (
      this.token !== undefined &&
      request.headers.get("authorization") !== `Bearer ${this.token}`
    ) {
      return refusal(401, "RepoNotFound");
    }
    if (pathname.startsWith(`/api/models/${repo}/revision/`)) {
      const revision = decodeURIComponent(pathname.split("/").at(-1)!);
      const isKnown = ["main", "v1", this.sha].includes(revision);
      if (!isKnown) return refusal(404, "RevisionNotFound");
      return Response.json({ _id: "1", id: repo, sha: this.sha, private: false });
    }
    if (pathname === `/api/models/${repo}/tree/${this.sha}`) {
      return this.#tree(Number(searchParams.get("cursor") ?? 0));
    }
    if (pathname.startsWith(`/${repo}/resolve/${this.sha}/`)) return this.#content(request, "hub");
    return refusal(404, "RepoNotFound");
  }

  /** Three entries a page. */
  #tree(start: number): Response {
    const page = this.files.slice(start, start + 3).map(({ path, content, isLarge, sha256 }) => {
      const oid = new Bun.CryptoHasher("sha1").update(path).update(content).digest("hex");
      const hash = sha256 ?? Bun.SHA256.hash(content, "hex");
      const lfs = { oid: hash, size: content.length, pointerSize: 134 };
      const large = isLarge === true ? { lfs } : {};
      return { type: "file", oid, size: content.length, path, ...large };
    });
    const next = `${this.endpoint}/api/models/${repo}/tree/${this.sha}?cursor=${start + 3}`;
    const isLast = start + 3 >= this.files.length;
    return Response.json(page, { headers: isLast ? {} : { link: `<${next}>; rel="next"` } });
  }

  #content(request: Request, origin: "hub" | "cdn"): Response {
    this.#see(request, origin);
    if (this.faults.contentStatus !== undefined) return refusal(this.faults.contentStatus);
    const { pathname } = new URL(request.url);
    const path = decodeURIComponent(pathname.split(`/${this.sha}/`)[1] ?? "");
    const file = this.files.find((one) => one.path === path);
    if (file === undefined) return refusal(404, "EntryNotFound");
    if (file.isLarge === true && origin === "hub") {
      const location = `http://127.0.0.1:${(this.#cdn.address() as AddressInfo).port}${pathname}`;
      return new Response(null, { status: 302, headers: { location } });
    }
    const range = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "");
    const offset = range === null || this.faults.ignoresRanges === true ? 0 : Number(range[1]);
    const { length } = file.content;
    if (offset > 0 && offset >= length) return refusal(416);
    const headers = new Headers({ etag: `"${path}"` });
    if (offset > 0) headers.set("content-range", `bytes ${offset}-${length - 1}/${length}`);
    const body = this.#stream(file.content.subarray(offset));
    return new Response(body, { status: offset > 0 ? 206 : 200, headers });
  }

  /** Serves contents over a connection that can be cut. */
  async #answer(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const headers = new Headers(incoming.headers as Record<string, string>);
    const request = new Request(`http://cdn${incoming.url}`, { headers });
    const response = this.#content(request, "cdn");
    answer.writeHead(response.status, Object.fromEntries(response.headers));
    try {
      for await (const chunk of response.body ?? []) answer.write(chunk);
      answer.end();
    } catch {
      answer.destroy();
      if (this.faults.statusAfterCut !== undefined) {
        this.faults.contentStatus = this.faults.statusAfterCut;
      }
    }
  }

  #stream(content: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
    const { faults } = this;
    let at = 0;
    return new ReadableStream({
      pull: async (controller) => {
        if (faults.chunkMs !== undefined) await Bun.sleep(faults.chunkMs);
        const hasCuts = faults.cutAfter !== undefined && (faults.cutsLeft ?? Infinity) > 0;
        const end = Math.min(at + 16_384, content.length, hasCuts ? faults.cutAfter! : Infinity);
        const isCutHere = hasCuts && at >= faults.cutAfter!;
        if (isCutHere) {
          faults.cutsLeft = (faults.cutsLeft ?? Infinity) - 1;
          // What was written before is on its way, and the cut comes after it.
          await Bun.sleep(20);
          controller.error(new Error("cut"));
        } else if (at >= content.length) controller.close();
        else controller.enqueue(content.subarray(at, end));
        at = end;
      },
    });
  }

  #see(request: Request, origin: "hub" | "cdn"): void {
    const { headers } = request;
    this.seen.push({
      path: decodeURIComponent(new URL(request.url).pathname),
      origin,
      range: headers.get("range"),
      authorization: headers.get("authorization"),
    });
  }
}

function refusal(status: number, errorCode?: string): Response {
  const headers = errorCode === undefined ? {} : { "x-error-code": errorCode };
  return Response.json({ error: "refused" }, { status, headers });
}

/** Bytes that do not compress, the same in every run. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

export function textFile(path: string, text: string): HubFile {
  return { path, content: new TextEncoder().encode(text) };
}

/** What a repository of a model looks like, with files no model needs. */
export function modelFiles(): HubFile[] {
  return [
    textFile(".gitattributes", "x"),
    textFile("README.md", "# model"),
    textFile("config.json", "{}"),
    textFile("generation_config.json", "{}"),
    textFile("tokenizer.json", '{"a":"\u00e9"}'),
    textFile("tokenizer_config.json", "{}"),
    { path: "model.safetensors", content: noise(300_000), isLarge: true },
    { path: "pytorch_model.bin", content: noise(1_000), isLarge: true },
    { path: "onnx/model.onnx", content: noise(1_000), isLarge: true },
  ];
}
