import type { Reply, ServerMessage } from "./messages.js";

const encoder = new TextEncoder();

/** The bytes a text takes on the wire, which is what the server's limit counts. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** Reads one frame; `undefined` for what is not a JSON object, which a client ignores. */
export function decode(text: string): ServerMessage | Reply | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as ServerMessage | Reply) : undefined;
  } catch {
    return undefined;
  }
}
