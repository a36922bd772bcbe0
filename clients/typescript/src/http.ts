import type { Dial, TransportEvents } from "./transport.js";
import { absolute } from "./transport.js";

/** How what the server sends arrives: as one stream of events, or as the answers to polls that wait. */
export type Receive = "sse" | "poll";

export type Fetch = typeof globalThis.fetch;

/** A batch of a poll. `cursor` acknowledges it in the next one. */
interface Batch {
  cursor: number;
  messages: { type?: string; resume?: string }[];
}

/** Milliseconds to wait where a server that is overloaded does not say how long. */
const RETRY_AFTER = 5000;

/**
 * Dials without WebSocket: `POST /poll` opens the session with the first message, `POST /send` takes the others, and
 * `GET /sse` or `GET /poll` brings what the server sends. The paths stand where the URL has `/ws`.
 */
export function http(receive: Receive, fetch: Fetch = globalThis.fetch.bind(globalThis)): Dial {
  return (url, events) => {
    const connection = new HttpConnection(url, receive, fetch, events);
    // The caller has its transport in hand before it is told that it is open.
    queueMicrotask(() => {
      events.open();
      connection.start();
    });
    return { name: receive, send: (text) => connection.send(text), close: (code) => connection.close(code) };
  };
}

class HttpConnection {
  readonly #url: string;
  readonly #receive: Receive;
  readonly #fetch: Fetch;
  readonly #events: TransportEvents;
  /** Cuts off what waits for messages. */
  readonly #receiving = new AbortController();
  readonly #sending = new AbortController();
  #session: string | undefined;
  #isOpening = false;
  #cursor = 0;
  #outgoing: string[] = [];
  /** Bodies are numbered, so that one that arrives twice counts once. */
  #bodies = 0;
  #flushing: Promise<void> | undefined;
  #isOver = false;

  constructor(url: string, receive: Receive, fetch: Fetch, events: TransportEvents) {
    this.#url = absolute(url, "http");
    this.#receive = receive;
    this.#fetch = fetch;
    this.#events = events;
  }

  send(text: string): void {
    if (this.#session === undefined) {
      void this.#guard(() => this.#open(text));
    } else {
      this.#outgoing.push(text);
      void this.#guard(() => this.#flush());
    }
  }

  /** Without a first message the request itself says who asks: by a cookie, or in the URL. */
  start(): void {
    if (!this.#isOpening && !this.#isOver) void this.#guard(() => this.#open(""));
  }

  /** With 1000 or 1001 the client means to go, and the session ends with it; else it may be resumed. */
  close(code?: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#receiving.abort();
    if (this.#session !== undefined && (code === 1000 || code === 1001)) void this.#goodbye(code);
    else this.#sending.abort();
  }

  async #open(first: string): Promise<void> {
    this.#isOpening = true;
    const response = await this.#request("poll", { method: "POST", body: first, signal: this.#receiving.signal });
    this.#deliverBatch((await response.json()) as Batch);
    if (this.#session === undefined || this.#isOver) return;
    await (this.#receive === "sse" ? this.#stream() : this.#poll());
  }

  async #poll(): Promise<void> {
    while (!this.#isOver) {
      const response = await this.#request(`poll?cursor=${this.#cursor}`, { signal: this.#receiving.signal });
      this.#deliverBatch((await response.json()) as Batch);
    }
  }

  async #stream(): Promise<void> {
    const { signal } = this.#receiving;
    const response = await this.#request(`sse?cursor=${this.#cursor}`, { headers: { accept: "text/event-stream" }, signal });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventStream((data) => this.#deliver(data));
    for (let part = await reader.read(); !part.done; part = await reader.read()) parser.feed(part.value);
    this.#end(1006, "the stream ended");
  }

  /** One body at a time, so that the server gets them in order. */
  #flush(): Promise<void> {
    return (this.#flushing ??= this.#flushAll().finally(() => (this.#flushing = undefined)));
  }

  async #flushAll(): Promise<void> {
    while (this.#outgoing.length > 0 && !this.#isOver) await this.#body("");
  }

  async #body(rest: string): Promise<void> {
    const messages = this.#outgoing.splice(0);
    const body = `{"n":${++this.#bodies},"messages":[${messages.join(",")}]${rest}}`;
    // A page that is left still gets its goodbye out.
    await this.#request("send", { method: "POST", body, signal: this.#sending.signal, keepalive: rest !== "" });
  }

  async #goodbye(code: number): Promise<void> {
    try {
      await this.#flushing;
      await this.#body(`,"close":${code}`);
    } catch {
      // The server notices by itself that nobody polls any more.
    }
  }

  async #request(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#session !== undefined) headers.set("authorization", `Nuncio-Session ${this.#session}`);
    if (init.body) headers.set("content-type", "application/json");
    const response = await this.#fetch(endpoint(this.#url, path), { ...init, headers, cache: "no-store" });
    if (!response.ok) throw await Refusal.of(response);
    return response;
  }

  #deliverBatch({ cursor, messages }: Batch): void {
    this.#cursor = cursor;
    for (const message of messages) this.#deliver(JSON.stringify(message));
  }

  #deliver(text: string): void {
    if (this.#isOver) return;
    const message = JSON.parse(text) as { type?: string; resume?: string; code?: number; reason?: string };
    // There is no close frame here: the end is a message.
    if (message.type === "close") return this.#end(message.code ?? 1006, message.reason ?? "");
    if (message.type !== undefined && message.resume !== undefined) this.#session = message.resume;
    this.#events.message(text);
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof Refusal) this.#refused(error);
      else this.#end(1006, String(error));
    }
  }

  /** Says in the protocol's words what a status says in HTTP's. */
  #refused({ status, code, message, retryAfter }: Refusal): void {
    if (this.#isOver) return;
    if (status === 503 || status === 429) {
      this.#events.message(JSON.stringify({ type: "reconnect", after: retryAfter, reason: message }));
      this.#end(1013, message);
    } else if (this.#session === undefined && status === 404 && code === "NOT_FOUND") {
      this.#events.message(JSON.stringify({ type: "error", code, message }));
    } else if (this.#session === undefined && (status === 401 || status === 403)) {
      this.#end(1008, message);
    } else {
      this.#end(status === 413 ? 1009 : 1006, message);
    }
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.close();
    this.#events.close(code, reason);
  }
}

/** An answer that is not 2xx. */
class Refusal extends Error {
  private constructor(
    readonly status: number,
    readonly code: string | undefined,
    message: string,
    readonly retryAfter: number,
  ) {
    super(message);
  }

  static async of(response: Response): Promise<Refusal> {
    const seconds = Number(response.headers.get("retry-after"));
    const { error } = (await response.json().catch(() => ({}))) as { error?: { code: string; message: string } };
    const message = error?.message ?? `${response.status} ${response.statusText}`;
    return new Refusal(response.status, error?.code, message, seconds > 0 ? seconds * 1000 : RETRY_AFTER);
  }
}

/** Reads `text/event-stream` (HTML Standard §9.2.6) as far as it is used: `data` lines, ended by an empty one; others are skipped. */
export class EventStream {
  readonly #deliver: (data: string) => void;
  #rest = "";
  #data: string[] = [];

  constructor(deliver: (data: string) => void) {
    this.#deliver = deliver;
  }

  feed(text: string): void {
    // A CR at the very end may be half of a CRLF, so it waits for what follows.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line.startsWith("data:")) {
      this.#data.push(line.slice(line[5] === " " ? 6 : 5));
    } else if (line === "" && this.#data.length > 0) {
      this.#deliver(this.#data.splice(0).join("\n"));
    }
  }
}

/** `path` beside the URL's `/ws`, with its query too. */
function endpoint(url: string, path: string): string {
  const base = new URL(url);
  const [name, query] = path.split("?");
  base.pathname = base.pathname.replace(/[^/]*$/, name!);
  for (const [key, value] of new URLSearchParams(query)) base.searchParams.set(key, value);
  return base.href;
}
