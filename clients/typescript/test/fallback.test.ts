import { setMaxListeners } from "node:events";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { fallback, type FallbackOptions } from "../src/fallback.js";
import { EventStream } from "../src/http.js";
import { Client, type Dial } from "../src/index.js";
import { ModelNetwork, settle } from "./harness.js";
import { type ModelConnection, ModelServer } from "./model-server.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** The model server behind `fetch`: sessions over POST /poll, GET /poll, GET /sse and POST /send. */
class ModelHttp {
  readonly requests: string[] = [];
  blocked = new Set<string>();
  readonly #server: ModelServer;
  readonly #queues = new Map<string, Queue>();

  constructor(server: ModelServer) {
    this.#server = server;
  }

  fetch = (async (input: string, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input);
    const path = url.pathname.split("/").at(-1)!;
    this.requests.push(`${init.method ?? "GET"} ${path}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.blocked.has(path)) throw new TypeError("network error");
    if (path === "poll" && init.method === "POST") return this.#open(String(init.body));
    const queue = this.#queues.get(new Headers(init.headers).get("authorization")?.replace("Nuncio-Session ", "") ?? "");
    if (!queue) return refuse(404, "NOT_FOUND", "no such session");
    if (path === "send") return queue.take(String(init.body));
    return path === "sse" ? queue.stream(init.signal!) : queue.batch(Number(url.searchParams.get("cursor")), init.signal!);
  }) as typeof fetch;

  #open(first: string): Response {
    const queue = new Queue(this.#server);
    queue.connection.receive(first);
    const { session } = queue.connection;
    if (queue.closedWith) return refuse(401, "NOT_AUTHENTICATED", queue.closedWith.reason);
    if (!session) return refuse(404, "NOT_FOUND", "no such session");
    this.#queues.set(session.resume, queue);
    return Response.json({ cursor: queue.messages.length, messages: queue.messages });
  }
}

const refuse = (status: number, code: string, message: string) => Response.json({ error: { code, message } }, { status });

/** What a polling client has not acknowledged. */
class Queue {
  readonly messages: object[] = [];
  closedWith: { code: number; reason: string } | undefined;
  readonly connection: ModelConnection;
  #wake: () => void = () => {};
  #numbered = 0;

  constructor(server: ModelServer) {
    this.connection = server.accept({
      send: (text) => this.#push(JSON.parse(text)),
      close: (code, reason) => {
        this.closedWith = { code, reason };
        this.#push({ type: "close", code, reason });
      },
    });
  }

  take(body: string): Response {
    const { n, messages, close } = JSON.parse(body) as { n: number; messages: object[]; close?: number };
    if (n > this.#numbered) {
      this.#numbered = n;
      for (const message of messages) this.connection.receive(JSON.stringify(message));
      if (close !== undefined) this.connection.gone("goodbye");
    }
    return Response.json({ n });
  }

  async batch(cursor: number, signal: AbortSignal): Promise<Response> {
    while (this.messages.length <= cursor && !signal.aborted) await this.#more(signal);
    return Response.json({ cursor: this.messages.length, messages: this.messages.slice(cursor) });
  }

  stream(signal: AbortSignal): Response {
    let sent = this.messages.length;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    void (async () => {
      while (!signal.aborted) {
        for (; sent < this.messages.length; sent++) {
          await writer.write(new TextEncoder().encode(`id: ${sent}\ndata: ${JSON.stringify(this.messages[sent])}\n\n`));
        }
        await this.#more(signal);
      }
      await writer.close().catch(() => {});
    })();
    return new Response(readable, { headers: { "content-type": "text/event-stream" } });
  }

  #push(message: object): void {
    this.messages.push(message);
    this.#wake();
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setMaxListeners(0, signal);
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}

/** A `WebSocket` over the model network, which may be blocked. */
function modelWebSocket(network: ModelNetwork, isBlocked: () => "no" | "refused" | "silent") {
  return class {
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: string }) => void) | null = null;
    onclose: ((event: { code: number; reason: string }) => void) | null = null;
    onerror: null = null;
    readonly #transport: ReturnType<Dial> | undefined;

    constructor(url: string) {
      if (isBlocked() === "no") {
        this.#transport = network.dial(url, {
          open: () => this.onopen?.(),
          message: (data) => this.onmessage?.({ data }),
          close: (code, reason) => this.onclose?.({ code, reason }),
        });
      } else if (isBlocked() === "refused") {
        setTimeout(() => this.onclose?.({ code: 1006, reason: "" }), 5);
      }
    }

    send(text: string): void {
      this.#transport?.send(text);
    }

    close(): void {
      this.#transport?.close();
    }
  };
}

function setup(options: FallbackOptions = {}) {
  const network = new ModelNetwork();
  const http = new ModelHttp(network.server);
  let blocked: "no" | "refused" | "silent" = "no";
  const dial = fallback({ WebSocket: modelWebSocket(network, () => blocked) as never, fetch: http.fetch, ...options });
  const client = new Client({ url: "ws://model/ws", token: "token-for-ann", dial, random: () => 0.5 });
  const seen: unknown[] = [];
  const room = client.room("lobby");
  room.on("chat:message", (message) => void seen.push(message.content));
  room.on("gap", () => void seen.push("gap"));
  return { network, http, client, room, seen, server: network.server, block: (how: typeof blocked) => (blocked = how) };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** Streams hand their parts over by real turns of the event loop, beside the virtual clock. */
async function flush(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await pass(5);
    await new Promise((resolve) => process.nextTick(resolve));
  }
}

describe("the fallback", () => {
  it("uses WebSocket where it works", async () => {
    const { client, http, room } = setup();
    client.connect();
    await pass(100);
    void room.join();
    await pass(100);
    expect(client.transport).toBe("websocket");
    expect(http.requests).toEqual([]);
  });

  it.each(["refused", "silent"] as const)("goes to SSE within one attempt when WebSocket is %s", async (how) => {
    const { client, block, http, room, seen, server } = setup();
    block(how);
    const states: string[] = [];
    client.on("state", (state) => void states.push(state));
    client.connect();
    await pass(how === "silent" ? 3100 : 100);
    await flush();
    expect(client.transport).toBe("sse");
    expect(states).toEqual(["connecting", "ready"]);
    void room.join();
    await flush();
    const sent = room.send("over SSE");
    await flush();
    expect((await sent).seq).toBe(1);
    server.publish("chat:message", "lobby", { userId: "bob", content: "back" });
    await flush();
    expect(seen).toEqual(["over SSE", "back"]);
    expect(new Set(http.requests)).toEqual(new Set(["POST poll", "GET sse", "POST send"]));
    client.close();
    await flush();
  });

  it("polls where only that works, and every message arrives once", async () => {
    const { client, block, http, room, seen, server } = setup({ order: ["websocket", "poll"] });
    block("refused");
    client.connect();
    await pass(200);
    expect(client.transport).toBe("poll");
    void room.join();
    await pass(200);
    for (let index = 0; index < 20; index++) server.publish("chat:message", "lobby", { userId: "bob", content: index });
    await pass(200);
    void room.send("mine");
    await pass(200);
    expect(seen).toEqual([...Array.from({ length: 20 }, (_, index) => index), "mine"]);
    expect(http.requests).toContain("GET poll");
    client.close();
    await pass(10);
  });

  it("begins the next attempt with what worked, and with the best when nothing does", async () => {
    const { client, block, http, room } = setup({ order: ["websocket", "poll"] });
    block("refused");
    client.connect();
    await pass(200);
    void room.join();
    http.blocked = new Set(["poll", "send"]);
    void room.send("lost on the way");
    await pass(50);
    expect(client.state).toBe("waiting");
    block("no");
    await pass(5000);
    expect(client.transport).toBe("websocket");
    expect(client.state).toBe("ready");
  });

  it("moves up when WebSocket works again, and misses nothing on the way", async () => {
    const { client, block, room, seen, server } = setup({ order: ["websocket", "poll"], upgradeAfter: 1000 });
    block("refused");
    client.connect();
    await pass(200);
    void room.join();
    await pass(2000);
    expect(client.transport).toBe("poll");
    block("no");
    let published = 0;
    for (let tick = 0; tick < 60; tick++) {
      server.publish("chat:message", "lobby", { userId: "bob", content: ++published });
      await pass(100);
    }
    expect(client.transport).toBe("websocket");
    expect(seen).toEqual(Array.from({ length: published }, (_, index) => index + 1));
    await pass(60_000);
    expect(server.connections.size).toBe(1);
  });

  it("says goodbye, so that the session ends at once", async () => {
    const { client, block, room, server } = setup({ order: ["websocket", "poll"] });
    block("refused");
    client.connect();
    await pass(200);
    void room.join();
    await pass(200);
    room.send("last words").catch(() => {});
    client.close();
    await pass(200);
    expect(server.sessions.size).toBe(0);
    expect(server.room("lobby").log.map((each) => each["content"])).toEqual(["last words"]);
  });

  it("authenticates anew when the session is gone", async () => {
    const { client, block, room, server, http } = setup({ order: ["websocket", "poll"] });
    block("refused");
    client.connect();
    await pass(200);
    void room.join();
    await pass(200);
    http.blocked = new Set(["send"]);
    void room.send("x");
    await pass(20);
    server.forgetSessions();
    http.blocked = new Set();
    await pass(3000);
    expect(client.state).toBe("ready");
    expect(server.room("lobby").log.map((each) => each["content"])).toEqual(["x"]);
    client.close();
    await settle();
  });

  it("takes a refused token for what it is", async () => {
    const network = new ModelNetwork();
    const dial = fallback({ order: ["poll"], fetch: new ModelHttp(network.server).fetch });
    const client = new Client({ url: "ws://model/ws", token: "wrong", dial });
    client.connect();
    await pass(5000);
    expect(client.state).toBe("closed");
  });

  it("waits as long as an overloaded server asks", async () => {
    const fetch = vi.fn(async () => new Response(null, { status: 503, headers: { "retry-after": "20" } }));
    const client = new Client({ url: "ws://model/ws", token: "t", dial: fallback({ order: ["poll"], fetch }), random: () => 0 });
    client.connect();
    await pass(19_999);
    expect(fetch).toHaveBeenCalledTimes(1);
    await pass(1);
    expect(fetch).toHaveBeenCalledTimes(2);
    client.close();
  });
});

describe("an event stream", () => {
  const text = 'retry: 5\r\nid: 1\r\ndata: {"a":1}\r\n\r\n: a comment\n\ndata:{"b":\ndata: 2}\n\ndata: "é"\r\rdata: unfinished';
  const expected = ['{"a":1}', '{"b":\n2}', '"é"'];

  it("is read the same however it is cut", () => {
    for (let cut = 0; cut <= text.length; cut++) {
      const data: string[] = [];
      const stream = new EventStream((each) => data.push(each));
      stream.feed(text.slice(0, cut));
      stream.feed(text.slice(cut));
      expect(data).toEqual(expected);
    }
    const data: string[] = [];
    const stream = new EventStream((each) => data.push(each));
    for (const letter of text) stream.feed(letter);
    expect(data).toEqual(expected);
  });
});
