/** For networks that let no WebSocket through: server-sent events with POST, then long polling; and up again when it works. */
import { type Fetch, http } from "./http.js";
import { type Dial, type Transport, type TransportEvents, webSocket, type WebSocketClass } from "./transport.js";

export { http } from "./http.js";

export interface FallbackOptions {
  /** What to try, best first. Default WebSocket, SSE, polling. */
  order?: ("websocket" | "sse" | "poll")[];
  /** Milliseconds until a transport that says nothing is given up for the next. Default 3000: a proxy may hold a stream back in silence. */
  silence?: number;
  /** Milliseconds after which the best transport is probed again; doubled after each failure, up to ten times as long. Default 60,000. */
  upgradeAfter?: number;
  WebSocket?: WebSocketClass;
  fetch?: Fetch;
}

/**
 * A `dial` for `Client` that falls back: `new Client({ url: "/ws", dial: fallback() })`.
 *
 * An attempt goes down the order until a server speaks. The transport that worked is where the next attempt begins. While
 * a lesser one is used the best is probed now and then; when it works the session moves to it by its resume token, and
 * misses nothing.
 */
export function fallback(options: FallbackOptions = {}): Dial {
  const { order = ["websocket", "sse", "poll"], silence = 3000, upgradeAfter = 60_000 } = options;
  const dials = order.map((name) => (name === "websocket" ? webSocket(options.WebSocket) : http(name, options.fetch)));
  const memory: Memory = { preferred: 0, probeAfter: upgradeAfter };
  return (url, events) => new Descent(url, events, dials, { silence, upgradeAfter }, memory).transport;
}

/** What outlives a connection. */
interface Memory {
  /** The index of the transport to begin with. */
  preferred: number;
  /** Milliseconds until the next probe of the best. */
  probeAfter: number;
}

type Times = Required<Pick<FallbackOptions, "silence" | "upgradeAfter">>;

/** One attempt, down the order until a server speaks, and the connection that comes of it. */
class Descent {
  /** What the client holds; behind it transports may change until one has spoken. */
  readonly transport: Transport;
  readonly #url: string;
  readonly #events: TransportEvents;
  readonly #dials: Dial[];
  readonly #times: Times;
  readonly #memory: Memory;
  #index: number;
  #current: Transport | undefined;
  #probe: Transport | undefined;
  #phase: "trying" | "speaking" | "over" = "trying";
  /** The client's first message; each transport that is tried gets it anew. */
  #first: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, events: TransportEvents, dials: Dial[], times: Times, memory: Memory) {
    this.#url = url;
    this.#events = events;
    this.#dials = dials;
    this.#times = times;
    this.#memory = memory;
    this.#index = memory.preferred;
    const current = (): Transport | undefined => this.#current;
    this.transport = {
      get name() {
        return current()?.name ?? "none";
      },
      send: (text) => this.#send(text),
      close: (code, reason) => this.#close(code, reason),
    };
    this.#try();
  }

  #send(text: string): void {
    if (this.#phase === "trying") this.#first ??= text;
    this.#current?.send(text);
  }

  #close(code?: number, reason?: string): void {
    this.#over();
    this.#current?.close(code, reason);
  }

  #try(): void {
    const index = this.#index;
    const isCurrent = (): boolean => this.#phase !== "over" && this.#index === index;
    this.#timer = setTimeout(() => this.#failed(index, 1006, "silence"), this.#times.silence);
    try {
      this.#current = this.#dials[index]!(this.#url, {
        open: () => isCurrent() && this.#opened(),
        message: (text) => isCurrent() && this.#heard(text),
        close: (code, reason) => isCurrent() && this.#failed(index, code, reason),
      });
    } catch (error) {
      this.#current = undefined;
      // As for a transport that fails later: the client has its transport in hand first.
      queueMicrotask(() => isCurrent() && this.#failed(index, 1006, String(error)));
    }
  }

  #opened(): void {
    if (this.#first === undefined) this.#events.open();
    else this.#current!.send(this.#first);
  }

  #heard(text: string): void {
    if (this.#phase === "trying") {
      this.#phase = "speaking";
      clearTimeout(this.#timer);
      this.#memory.preferred = this.#index;
      if (this.#index > 0) this.#planProbe();
      else this.#memory.probeAfter = this.#times.upgradeAfter;
    }
    this.#events.message(text);
  }

  /** A transport that never spoke makes way for the next; the end of one that did is the connection's end. */
  #failed(index: number, code: number, reason: string): void {
    clearTimeout(this.#timer);
    const isLast = index + 1 >= this.#dials.length;
    if (this.#phase === "speaking" || code === 1008 || isLast) {
      // When nothing worked, the network is down rather than picky: begin with the best again.
      if (this.#phase === "trying" && isLast) this.#memory.preferred = 0;
      this.#over();
      this.#events.close(code, reason);
      return;
    }
    this.#index++;
    this.#current?.close();
    this.#try();
  }

  #planProbe(): void {
    this.#timer = setTimeout(() => this.#probeBest(), this.#memory.probeAfter);
  }

  /** Whether the best transport works shows in its welcome; no session is opened for it. */
  #probeBest(): void {
    let isDecided = false;
    const decide = (): boolean => {
      if (isDecided || this.#phase !== "speaking") return false;
      isDecided = true;
      clearTimeout(this.#timer);
      this.#probe?.close();
      return true;
    };
    const failed = (): void => {
      if (!decide()) return;
      this.#memory.probeAfter = Math.min(this.#memory.probeAfter * 2, this.#times.upgradeAfter * 10);
      this.#planProbe();
    };
    this.#timer = setTimeout(failed, this.#times.silence);
    try {
      this.#probe = this.#dials[0]!(this.#url, {
        open: () => {},
        message: () => {
          if (!decide()) return;
          this.#memory.preferred = 0;
          this.#close();
          this.#events.close(1001, "moving to a better transport");
        },
        close: failed,
      });
    } catch {
      failed();
    }
  }

  #over(): void {
    this.#phase = "over";
    clearTimeout(this.#timer);
    this.#probe?.close();
    this.#probe = undefined;
  }
}
