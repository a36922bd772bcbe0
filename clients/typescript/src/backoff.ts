export interface BackoffOptions {
  /** Milliseconds: the ceiling of the first delay. Default 1000. */
  base?: number;
  /** Milliseconds: where doubling ends. Default 30,000. */
  max?: number;
  /** Attempts in a row before giving up. Default: no limit. */
  attempts?: number;
  /** Milliseconds a connection must last to count as stable, after which delays start over. Default 5000. */
  stable?: number;
  /** From 0 to below 1. Default `Math.random`. */
  random?: () => number;
}

/**
 * Exponential backoff with full jitter: each delay is drawn evenly between zero and a ceiling that doubles, so that the
 * clients of a server that died come back spread out.
 */
export class Backoff {
  readonly #base: number;
  readonly #max: number;
  readonly #attempts: number;
  readonly #stable: number;
  readonly #random: () => number;
  #attempt = 0;
  #stableTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: BackoffOptions = {}) {
    this.#base = options.base ?? 1000;
    this.#max = options.max ?? 30_000;
    this.#attempts = options.attempts ?? Infinity;
    this.#stable = options.stable ?? 5000;
    this.#random = options.random ?? Math.random;
  }

  /** Milliseconds until the next attempt, no sooner than `announced`; `undefined` when the attempts are used up. */
  next(announced = 0): number | undefined {
    this.disconnected();
    if (this.#attempt >= this.#attempts) return undefined;
    const ceiling = Math.min(this.#max, this.#base * 2 ** this.#attempt++);
    return announced + this.#random() * ceiling;
  }

  /** A connection stands: delays start over once it has lasted. */
  connected(): void {
    this.disconnected();
    this.#stableTimer = setTimeout(() => this.reset(), this.#stable);
  }

  /** A connection ended, perhaps before it was stable. */
  disconnected(): void {
    clearTimeout(this.#stableTimer);
  }

  reset(): void {
    this.disconnected();
    this.#attempt = 0;
  }
}
