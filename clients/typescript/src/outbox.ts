import { byteLength } from "./codec.js";
import { NuncioError } from "./errors.js";
import type { Limits, Reply } from "./messages.js";

/** Whether a message may be sent again when its fate is unknown: it has an idempotency key, or changes nothing. */
export type Repeat = "repeatable" | "once";

export interface OutboxOptions {
  /** Milliseconds to wait for each reply. Default 5000. */
  ackTimeout?: number;
  /** How often a repeatable message without a reply is sent again on a standing connection. Default 3. */
  retries?: number;
  /** Messages that may wait for a connection or for the rate limit. Default 100; one more is an error. */
  queueMax?: number;
}

interface Call {
  text: string;
  repeat: Repeat;
  retries: number;
  writtenAt: number | undefined;
  timer?: ReturnType<typeof setTimeout>;
  resolve: (data: never) => void;
  reject: (error: NuncioError) => void;
}

/** The server forgets an idempotency key after 5 minutes; past this age a repeat could become a second message. */
const REPEAT_AGE_MAX = 4 * 60_000;

/**
 * What the application sends: a bounded queue, in order, let out at the pace the server allows, each message with a reply.
 *
 * While there is no connection everything waits. What was on its way when one broke goes out again, ahead of the rest.
 */
export class Outbox {
  readonly #options: Required<OutboxOptions>;
  readonly #pending = new Map<number, Call>();
  #queue: Call[] = [];
  #write: ((text: string) => void) | undefined;
  #flow: "held" | "free" = "held";
  #limits: Limits | undefined;
  #nextId = 1;
  /** Messages that may go now, by the server's rate limit, as of `#countedAt`. */
  #allowance = Infinity;
  #countedAt = 0;
  #pausedUntil = 0;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: OutboxOptions) {
    this.#options = {
      ackTimeout: options.ackTimeout ?? 5000,
      retries: options.retries ?? 3,
      queueMax: options.queueMax ?? 100,
    };
  }

  /** Queues `message`; resolves with the `data` of its reply. */
  call<Data>(message: object, repeat: Repeat): Promise<Data> {
    return new Promise((resolve, reject) => {
      if (this.#queue.length >= this.#options.queueMax) {
        reject(new NuncioError("QUEUE_FULL", `${this.#queue.length} messages wait already`));
        return;
      }
      this.#queue.push(newCall(message, repeat, this.#options.retries, resolve, reject));
      this.#flush();
    });
  }

  /**
   * Sends `message` on this connection, past the queue and the rate limit; fails without one. For what has a budget of its
   * own. The reply is handed over at once, not a promise's turn later: what it announces may be the very next message.
   */
  ask<Data>(message: object, resolve: (data: Data) => void, reject: (error: NuncioError) => void): void {
    const call = newCall(message, "once", 0, resolve, reject);
    if (this.#write) this.#send(call, this.#write);
    else reject(disconnected());
  }

  /** Sends `message` if it can go at once, else drops it. */
  volatile(message: object): void {
    if (this.#flow === "held" || this.#queue.length > 0 || this.#wait() > 0) return;
    this.#allowance--;
    this.#write?.(JSON.stringify(message));
  }

  /** A session stands. The queue is held until `release`. */
  open(write: (text: string) => void, limits: Limits | undefined): void {
    this.#write = write;
    this.#limits = limits;
  }

  /** Lets the queue go, once the rooms it writes to are joined again. */
  release(): void {
    this.#flow = "free";
    this.#flush();
  }

  /** The connection ended. What must not be repeated fails: calls made `once`, and all in flight if one of them is to blame. */
  interrupt(cause: "connection" | "message"): void {
    this.#write = undefined;
    this.#flow = "held";
    clearTimeout(this.#flushTimer);
    const again: Call[] = [];
    for (const call of this.#pending.values()) {
      clearTimeout(call.timer);
      if (call.repeat === "repeatable" && cause === "connection") again.push(call);
      else call.reject(disconnected());
    }
    this.#pending.clear();
    this.#queue.unshift(...again);
  }

  /** Everything fails with `error`. */
  abandon(error: NuncioError): void {
    this.interrupt("message");
    for (const call of this.#queue.splice(0)) call.reject(error);
  }

  settle(reply: Reply): void {
    const call = this.#pending.get(Number(reply.ack));
    if (!call) return;
    this.#pending.delete(Number(reply.ack));
    clearTimeout(call.timer);
    if (!reply.error) call.resolve(reply.data as never);
    else if (!isPassing(reply.error.code, call.repeat) || !this.#again(call)) call.reject(NuncioError.of(reply.error));
    else this.#pause(reply.error.retryAfter ?? 1000);
  }

  #flush(): void {
    clearTimeout(this.#flushTimer);
    while (this.#write && this.#flow === "free" && this.#queue.length > 0) {
      const wait = this.#wait();
      if (wait > 0) {
        this.#flushTimer = setTimeout(() => this.#flush(), wait);
        return;
      }
      this.#allowance--;
      this.#send(this.#queue.shift()!, this.#write);
    }
  }

  #send(call: Call, write: (text: string) => void): void {
    const id = this.#nextId++;
    const text = `${call.text.slice(0, -1)},"id":${id}}`;
    const max = this.#limits?.messageBytes ?? Infinity;
    if (byteLength(text) > max) {
      call.reject(new NuncioError("TOO_LARGE", `${byteLength(text)} bytes, at most ${max} are allowed`));
      return;
    }
    call.writtenAt ??= Date.now();
    if (Date.now() - call.writtenAt > REPEAT_AGE_MAX) {
      call.reject(disconnected());
      return;
    }
    this.#pending.set(id, call);
    call.timer = setTimeout(() => this.#expire(id, call), this.#options.ackTimeout);
    write(text);
  }

  #expire(id: number, call: Call): void {
    this.#pending.delete(id);
    if (call.repeat === "repeatable" && this.#again(call)) this.#flush();
    else call.reject(new NuncioError("TIMEOUT", `no reply within ${this.#options.ackTimeout} ms`));
  }

  #again(call: Call): boolean {
    if (call.retries-- <= 0) return false;
    this.#queue.unshift(call);
    return true;
  }

  /** Milliseconds until the rate limit lets the next message go. */
  #wait(): number {
    const limits = this.#limits;
    const now = Date.now();
    if (now < this.#pausedUntil) return this.#pausedUntil - now;
    if (!limits?.ratePerSecond) return 0;
    // A little slower than allowed, for the network may deliver in bunches what was sent evenly.
    const perMs = (limits.ratePerSecond * 0.9) / 1000;
    const gained = Math.max(0, now - this.#countedAt) * perMs;
    this.#allowance = Math.min(allowedAtOnce(limits), this.#allowance + gained);
    this.#countedAt = now;
    return this.#allowance >= 1 ? 0 : Math.ceil((1 - this.#allowance) / perMs);
  }

  #pause(ms: number): void {
    this.#pausedUntil = Date.now() + ms;
    this.#flush();
  }
}

function newCall<Data>(
  message: object,
  repeat: Repeat,
  retries: number,
  resolve: (data: Data) => void,
  reject: Call["reject"],
): Call {
  return { text: JSON.stringify(message), repeat, retries, writtenAt: undefined, resolve, reject };
}

function disconnected(): NuncioError {
  return new NuncioError("DISCONNECTED", "the connection ended before the reply");
}

/** True for errors that go away by themselves. After `UNAVAILABLE` it is not certain that nothing was done. */
function isPassing(code: string, repeat: Repeat): boolean {
  return code === "RATE_LIMITED" || (code === "UNAVAILABLE" && repeat === "repeatable");
}

function allowedAtOnce(limits: Limits): number {
  return Math.max(1, (limits.burst ?? 1) - 1);
}
