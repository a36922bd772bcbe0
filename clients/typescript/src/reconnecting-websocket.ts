/** A `WebSocket` that comes back by itself, for any server. */
import { Backoff } from "./backoff.js";
import { retryRule } from "./close.js";
import { byteLength } from "./codec.js";
import { onWake } from "./wake.js";

type Sendable = string | ArrayBufferLike | Blob | ArrayBufferView;
type Handler<Name extends keyof WebSocketEventMap> = ((this: WebSocket, event: WebSocketEventMap[Name]) => unknown) | null;

export interface ReconnectingWebSocketOptions {
  protocols?: string | string[];
  /** Milliseconds: the ceiling of the first delay; it doubles up to `reconnectIntervalMax`, and each delay is drawn evenly below it. Default 1000. */
  reconnectInterval?: number;
  /** Milliseconds. Default 30,000. */
  reconnectIntervalMax?: number;
  /** Attempts in a row before giving up. Default 10. */
  maxRetries?: number;
  /** Milliseconds a connection must last before attempts are counted anew. Default 5000. */
  stable?: number;
  /** Milliseconds that opening may take. Default 10,000. */
  connectTimeout?: number;
  /** Messages that may wait for a connection; one more throws. Default 100. */
  queueMax?: number;
  /** Whether to come back after this close. Default as the code asks: not after 1000, 1008 and the application's own (4000 to 4999). */
  shouldReconnect?: (event: CloseEvent) => boolean;
  /** The class to connect with, where there is no global one (Node before 22). */
  WebSocket?: new (url: string, protocols?: string | string[]) => WebSocket;
  /** From 0 to below 1. Default `Math.random`. */
  random?: () => number;
  onopen?: Handler<"open">;
  onmessage?: Handler<"message">;
  onclose?: Handler<"close">;
  onerror?: Handler<"error">;
}

/**
 * A drop-in for `WebSocket`: the same methods, properties and events, over one connection after another.
 *
 * `open` and `close` happen for each connection. While it is between two, `readyState` is `CONNECTING` and `send` queues;
 * `CLOSED` is final: after `close()`, after a code that asks not to return, or when the attempts are used up. Nothing is
 * sent twice: a message that was under way when a connection broke may be lost, as with any `WebSocket`.
 */
export class ReconnectingWebSocket extends EventTarget implements WebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;

  onopen: Handler<"open"> = null;
  onmessage: Handler<"message"> = null;
  onclose: Handler<"close"> = null;
  onerror: Handler<"error"> = null;

  readonly #url: string | (() => string | Promise<string>);
  readonly #options: ReconnectingWebSocketOptions;
  readonly #backoff: Backoff;
  readonly #stopWake: () => void;
  #socket: WebSocket | undefined;
  #lastUrl = "";
  #readyState: 0 | 1 | 2 | 3 = 0;
  #binaryType: BinaryType = "blob";
  #queue: Sendable[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #phase: "connecting" | "waiting" = "connecting";

  /** `url` may be a function that makes one for each connection, with a new token for example. */
  constructor(url: string | URL | (() => string | Promise<string>), options: ReconnectingWebSocketOptions | string | string[] = {}) {
    super();
    this.#url = typeof url === "function" ? url : String(url);
    this.#options = typeof options === "string" || Array.isArray(options) ? { protocols: options } : options;
    const { reconnectInterval = 1000, reconnectIntervalMax = 30_000, maxRetries = 10, stable = 5000, random = Math.random } = this.#options;
    this.#backoff = new Backoff({ base: reconnectInterval, max: reconnectIntervalMax, attempts: maxRetries, stable, random });
    for (const name of ["onopen", "onmessage", "onclose", "onerror"] as const) {
      this[name] = (this.#options[name] ?? null) as never;
    }
    this.#stopWake = onWake(() => this.reconnect());
    this.#connect();
  }

  get readyState(): 0 | 1 | 2 | 3 {
    return this.#readyState;
  }

  get url(): string {
    return this.#lastUrl;
  }

  get protocol(): string {
    return this.#socket?.protocol ?? "";
  }

  get extensions(): string {
    return this.#socket?.extensions ?? "";
  }

  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(type: BinaryType) {
    this.#binaryType = type;
    if (this.#socket) this.#socket.binaryType = type;
  }

  /** Bytes not yet handed to the network, those that wait for a connection too. */
  get bufferedAmount(): number {
    return this.#queue.reduce((sum, data) => sum + sizeOf(data), this.#socket?.bufferedAmount ?? 0);
  }

  /** Sends, or queues until the next connection opens. Throws when the queue is full; after the end it does nothing, as a `WebSocket` does. */
  send(data: Sendable): void {
    if (this.#readyState === this.OPEN) return this.#socket!.send(data as string);
    if (this.#readyState !== this.CONNECTING) return;
    const max = this.#options.queueMax ?? 100;
    if (this.#queue.length >= max) throw new DOMException(`${max} messages wait for a connection already`, "InvalidStateError");
    this.#queue.push(data);
  }

  /** Closes for good. */
  close(code?: number, reason?: string): void {
    if (this.#readyState >= this.CLOSING) return;
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`${code} is neither 1000 nor in 3000 to 4999`, "InvalidAccessError");
    }
    this.#readyState = this.CLOSING;
    this.#stop();
    if (this.#socket) this.#socket.close(code, reason);
    else queueMicrotask(() => this.#finish(closeEvent(code ?? 1005, reason ?? "", true)));
  }

  /** Tries at once where it would wait. Does nothing while a connection stands or is being made. */
  reconnect(): void {
    if (this.#readyState === this.CONNECTING && this.#phase === "waiting") this.#connect();
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#phase = "connecting";
    void this.#open();
  }

  async #open(): Promise<void> {
    try {
      this.#lastUrl = await (typeof this.#url === "function" ? this.#url() : this.#url);
      if (this.#readyState !== this.CONNECTING) return;
      const { WebSocket: Impl = WebSocket, protocols, connectTimeout = 10_000 } = this.#options;
      const socket = new Impl(this.#lastUrl, protocols);
      this.#lastUrl = socket.url || this.#lastUrl;
      this.#attach(socket);
      this.#timer = setTimeout(() => this.#lost(socket, closeEvent(1006, "not open in time", false)), connectTimeout);
    } catch (error) {
      // A URL or a subprotocol that no attempt could use is the caller's mistake; a URL that could not be fetched is not.
      if (typeof this.#url !== "function") this.#end(closeEvent(1006, String(error), false));
      else this.#ended(closeEvent(1006, String(error), false));
    }
  }

  #attach(socket: WebSocket): void {
    this.#socket = socket;
    socket.binaryType = this.#binaryType;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => this.#fire("message", messageEvent(event));
    socket.onerror = () => this.#fire("error", new Event("error"));
    socket.onclose = (event) => this.#lost(socket, closeEvent(event.code, event.reason, event.wasClean));
  }

  #opened(socket: WebSocket): void {
    clearTimeout(this.#timer);
    this.#readyState = this.OPEN;
    this.#backoff.connected();
    for (const data of this.#queue.splice(0)) socket.send(data as string);
    this.#fire("open", new Event("open"));
  }

  #lost(socket: WebSocket, event: CloseEvent): void {
    socket.onopen = socket.onmessage = socket.onclose = null;
    // `ws` reports an attempt that is broken off by an error, which nobody else hears.
    socket.onerror = () => {};
    this.#socket = undefined;
    if (socket.readyState !== this.CLOSED) socket.close();
    this.#ended(event);
  }

  #ended(event: CloseEvent): void {
    clearTimeout(this.#timer);
    const delay = this.#readyState < this.CLOSING && this.#returns(event) ? this.#backoff.next() : undefined;
    if (delay === undefined) return this.#end(event);
    this.#readyState = this.CONNECTING;
    this.#phase = "waiting";
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#fire("close", event);
  }

  #returns(event: CloseEvent): boolean {
    if (this.#options.shouldReconnect) return this.#options.shouldReconnect(event);
    const rule = retryRule(event.code);
    return rule === "backoff" || (rule === "token" && typeof this.#url === "function");
  }

  #end(event: CloseEvent): void {
    this.#stop();
    this.#finish(event);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#backoff.disconnected();
    this.#stopWake();
  }

  #finish(event: CloseEvent): void {
    this.#readyState = this.CLOSED;
    this.#queue = [];
    this.#fire("close", event);
  }

  /** The listeners first, then the handler property. One that throws is reported, as the platform does it. */
  #fire(name: keyof WebSocketEventMap, event: Event): void {
    const handler = this[`on${name}`] as ((this: WebSocket, event: Event) => unknown) | null;
    if (handler) this.addEventListener(name, (each) => handler.call(this, each), { once: true });
    this.dispatchEvent(event);
  }
}

/** What `addEventListener` passes for each event, as with `WebSocket`. */
export interface ReconnectingWebSocket {
  addEventListener<Name extends keyof WebSocketEventMap>(
    name: Name,
    listener: (this: WebSocket, event: WebSocketEventMap[Name]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(name: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<Name extends keyof WebSocketEventMap>(
    name: Name,
    listener: (this: WebSocket, event: WebSocketEventMap[Name]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(name: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

function sizeOf(data: Sendable): number {
  if (typeof data === "string") return byteLength(data);
  return data instanceof Blob ? data.size : data.byteLength;
}

/** An event can be dispatched once, so a connection's own is copied. */
function messageEvent(event: MessageEvent): MessageEvent {
  return new MessageEvent("message", { data: event.data, origin: event.origin ?? "" });
}

/** Node before 23 has no `CloseEvent`. */
function closeEvent(code: number, reason: string, wasClean: boolean): CloseEvent {
  const fields = { code, reason, wasClean };
  return typeof CloseEvent === "function" ? new CloseEvent("close", fields) : (Object.assign(new Event("close"), fields) as CloseEvent);
}
