/** What a client does about the end of a connection. */
export type Retry = "backoff" | "token" | "never";

/** What a close code asks of the client (protocol, "Close codes"). */
export function retryRule(code: number): Retry {
  switch (code) {
    case 1000:
      return "never";
    case 1008:
    case 4003:
      return "token";
    default:
      return code >= 4000 && code <= 4999 ? "never" : "backoff";
  }
}

/** True where the cause may be what was sent, so that sending it again would end the next connection too. */
export function blamesMessage(code: number): boolean {
  return code === 1002 || code === 1003 || code === 1007 || code === 1009;
}
