import { decode } from "./codec.js";
import type { AuthOk, Position, Reply, Resumed, ServerMessage, Welcome } from "./messages.js";
import type { Dial, Transport } from "./transport.js";

/** What a session is taken over with. */
export interface ResumeRequest {
  resume: string;
  rooms: (Position & { roomId: string })[];
}

export interface ConnectionOptions {
  url: string;
  dial: Dial;
  /** Milliseconds from the first step until the session stands. */
  connectTimeout: number;
  /** The token for a new session; absent where the connection itself carries the authentication. */
  token: (() => Promise<string>) | undefined;
  /** A session to take over. */
  resume: ResumeRequest | undefined;
}

export interface ConnectionEvents {
  authenticated(message: AuthOk): void;
  /** The session stands; with `resumed` it is the earlier one. */
  established(resumed: Resumed | undefined): void;
  message(message: ServerMessage | Reply): void;
  /** The connection is over; nothing follows. */
  ended(code: number, reason: string, phase: Phase): void;
}

/**
 * ```text
 * dialing ──▶ resuming ──▶ established ──▶ ended
 *    │           │ refused      ▲
 *    └───────────┴▶ authenticating
 * ```
 */
export type Phase = "dialing" | "resuming" | "authenticating" | "established" | "ended";

/** One connection, from dialing to its end: opens the session, and notices when the other side has gone silent. */
export class Connection {
  welcome: Welcome | undefined;
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  #phase: Phase = "dialing";
  #transport: Transport | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heardAt = 0;

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options;
    this.#events = events;
    this.#timer = setTimeout(() => this.end(1006, "no session in time"), options.connectTimeout);
    void this.#start();
  }

  /** `websocket` or the name of a fallback, once dialed. */
  get transport(): string | undefined {
    return this.#transport?.name;
  }

  write(text: string): void {
    this.#transport?.send(text);
  }

  /** Ends the connection from this side. `ended` is reported at once, for a dead network never confirms a close. */
  end(code: number, reason: string): void {
    if (this.#phase === "ended") return;
    const transport = this.#transport;
    this.#over(code, reason);
    // 1006 is never sent; 3008 is the registered code for a timeout.
    transport?.close(code === 1006 ? 3008 : code, reason);
  }

  /** Asks for a sign of life, and gives the connection up when none comes within `ms`. */
  probe(ms = this.welcome?.heartbeat?.timeout ?? 20_000): void {
    if (this.#phase !== "established") return;
    const askedAt = this.#heardAt;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#heardAt === askedAt) this.end(1006, "no pong");
      else this.#watch();
    }, ms);
    this.write('{"type":"ping"}');
  }

  async #start(): Promise<void> {
    const { resume, url, dial } = this.#options;
    try {
      const token = await (resume ? undefined : this.#options.token?.());
      if (this.#phase === "ended") return;
      this.#transport = dial(url, {
        open: () => this.#open(token),
        message: (text) => this.#receive(text),
        close: (code, reason) => this.#over(code, reason),
      });
    } catch (error) {
      this.#over(1006, String(error));
    }
  }

  #open(token: string | undefined): void {
    if (this.#phase !== "dialing") return;
    const { resume } = this.#options;
    if (resume) {
      this.#phase = "resuming";
      this.write(JSON.stringify({ type: "resume", ...resume }));
    } else {
      this.#authenticate(token);
    }
  }

  #authenticate(token: string | undefined): void {
    this.#phase = "authenticating";
    if (token !== undefined) this.write(JSON.stringify({ type: "auth", token }));
  }

  async #authenticateAnew(): Promise<void> {
    this.#phase = "authenticating";
    try {
      const token = await this.#options.token?.();
      if (this.#phase === "authenticating") this.#authenticate(token);
    } catch (error) {
      this.end(1006, String(error));
    }
  }

  #receive(text: string): void {
    if (this.#phase === "ended") return;
    this.#heardAt++;
    const message = decode(text);
    if (!message) return;
    if ("ack" in message) this.#events.message(message);
    else this.#handle(message);
  }

  #handle(message: ServerMessage): void {
    if (message.type === "welcome") {
      this.welcome = message;
    } else if (message.type === "auth_ok") {
      this.#events.authenticated(message);
      if (this.#phase === "authenticating") this.#establish(undefined);
    } else if (message.type === "resumed" && this.#phase === "resuming") {
      this.#establish(message);
    } else if (message.type === "error" && this.#phase === "resuming") {
      void this.#authenticateAnew();
    } else {
      this.#events.message(message);
    }
  }

  #establish(resumed: Resumed | undefined): void {
    this.#phase = "established";
    this.#watch();
    this.#events.established(resumed);
  }

  /** Scripts cannot see the server's ping frames, so silence is answered with a ping of the protocol's own. */
  #watch(): void {
    const heardAt = this.#heardAt;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#heardAt === heardAt) this.probe();
      else this.#watch();
    }, this.welcome?.heartbeat?.interval ?? 30_000);
  }

  #over(code: number, reason: string): void {
    if (this.#phase === "ended") return;
    const phase = this.#phase;
    this.#phase = "ended";
    clearTimeout(this.#timer);
    this.#events.ended(code, reason, phase);
  }
}
