import type { Cause, Client, State } from "../src/index.js";
import { byId } from "./dom.js";

/** Shows in the header how the connection fares, and lets the user cut a wait short. */
export class ConnectionView {
  readonly #view = byId("connection");
  readonly #text = byId("connection-text");
  readonly #retry = byId<HTMLButtonElement>("retry-now");
  readonly #announcer = byId("announcer");
  readonly #client: Client;
  #countdown: ReturnType<typeof setInterval> | undefined;
  #retryAt = 0;

  constructor(client: Client) {
    this.#client = client;
    client.on("state", (state, cause) => this.#show(state, cause));
    this.#retry.onclick = () => client.connect();
    this.#show(client.state, undefined);
  }

  #show(state: State, cause: Cause | undefined): void {
    clearInterval(this.#countdown);
    this.#view.dataset["state"] = state;
    this.#retry.hidden = state !== "waiting" && state !== "closed";
    this.#retry.textContent = state === "closed" ? "Connect" : "Retry";
    if (state === "waiting") this.#countDown(cause?.delay ?? 0);
    else this.#text.textContent = textOf(state, cause);
    // The countdown changes each second; what is read aloud does not.
    this.#announcer.textContent = state === "waiting" ? "Connection lost. Reconnecting." : textOf(state, cause);
    this.#view.title = cause ? `Close code ${cause.code}${cause.reason && `: ${cause.reason}`}` : `By ${this.#client.transport ?? "WebSocket"}`;
  }

  #countDown(delay: number): void {
    this.#retryAt = Date.now() + delay;
    const tick = (): void => {
      const seconds = Math.max(1, Math.ceil((this.#retryAt - Date.now()) / 1000));
      this.#text.textContent = `Offline, retry in ${seconds} s`;
    };
    tick();
    this.#countdown = setInterval(tick, 1000);
  }
}

function textOf(state: State, cause: Cause | undefined): string {
  switch (state) {
    case "idle":
    case "connecting":
    case "waiting":
      return "Connecting…";
    case "ready":
      return "Connected";
    case "closed":
      return cause?.reason || "Disconnected";
  }
}
