/** A connection that carries messages as text, one JSON object each. */
export interface Transport {
  readonly name: string;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** Where a transport reports. After `close` nothing follows. */
export interface TransportEvents {
  open(): void;
  message(text: string): void;
  close(code: number, reason: string): void;
}

/** Starts one connection. The first text sent over it is the `auth` or `resume` message, if there is one. */
export type Dial = (url: string, events: TransportEvents) => Transport;

/** As much of the `WebSocket` interface as is used here; the global one and that of `ws` have it. */
export interface WebSocketLike {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketClass = new (url: string, protocols?: string | string[]) => WebSocketLike;

/** The name under which version 1 of the protocol is offered. */
export const SUBPROTOCOL = "nuncio.v1";

/** Dials by WebSocket; `WebSocketImpl` where there is no global one (Node before 22). */
export function webSocket(WebSocketImpl?: WebSocketClass, protocols: string[] = []): Dial {
  return (url, events) => {
    const Impl = WebSocketImpl ?? (globalThis.WebSocket as unknown as WebSocketClass);
    const socket = new Impl(absolute(url, "ws"), [SUBPROTOCOL, ...protocols]);
    socket.onopen = () => events.open();
    socket.onmessage = (event: { data: unknown }) => {
      if (typeof event.data === "string") events.message(event.data);
    };
    socket.onclose = (event: { code: number; reason: string }) => events.close(event.code, event.reason);
    // A close event always follows, with all that scripts may know.
    socket.onerror = () => {};
    return {
      name: "websocket",
      send: (text) => socket.send(text),
      close: (code, reason) => socket.close(code, reason),
    };
  };
}

/** `url`, which may be relative to the page, with `ws(s)` or `http(s)` as its scheme. */
export function absolute(url: string, scheme: "ws" | "http"): string {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = scheme + (/^(https|wss):$/.test(full.protocol) ? "s:" : ":");
  return full.href;
}
