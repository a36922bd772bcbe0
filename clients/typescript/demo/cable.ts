import type { Dial, Transport, TransportEvents } from "../src/index.js";

/** A connection with a plug: pulled, it ends as in a tunnel, and nothing connects until it is put back. */
export class Cable {
  readonly #dial: Dial;
  readonly #ends = new Map<Transport, TransportEvents>();
  #pulled = false;

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  /** Give this to the client. */
  dial: Dial = (url, events) => {
    if (this.#pulled) throw new Error("offline");
    const transport = this.#dial(url, {
      open: () => this.#ends.has(transport) && events.open(),
      message: (text) => this.#ends.has(transport) && events.message(text),
      close: (code, reason) => this.#ends.delete(transport) && events.close(code, reason),
    });
    this.#ends.set(transport, events);
    return transport;
  };

  pull(): void {
    this.#pulled = true;
    for (const [transport, events] of this.#ends) {
      this.#ends.delete(transport);
      transport.close(3000, "the cable was pulled");
      events.close(1006, "the cable was pulled");
    }
  }

  plug(): void {
    this.#pulled = false;
  }
}
