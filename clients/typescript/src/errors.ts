import type { WireError } from "./messages.js";

/**
 * Why a call failed. Codes of the server are passed on (`FORBIDDEN`, `RATE_LIMITED`, …); the client adds its own:
 *
 * - `TIMEOUT`: no reply in time, after all retries
 * - `DISCONNECTED`: the connection ended and the message must not be repeated, so its fate is unknown
 * - `QUEUE_FULL`: too many messages wait for a connection
 * - `TOO_LARGE`: longer than the server's limit; not sent
 * - `CLOSED`: the client was closed, or has given up
 */
export class NuncioError extends Error {
  override readonly name = "NuncioError";
  readonly code: string;
  /** Milliseconds the server wants the client to wait, where it said so. */
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, retryAfter?: number) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }

  static of(error: WireError): NuncioError {
    return new NuncioError(error.code, error.message, error.retryAfter);
  }
}
