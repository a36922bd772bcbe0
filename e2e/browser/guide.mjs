// The first client that many guides to WebSockets show, in its own words; only the order in time is made certain, by waiting for
// each answer. It runs in Node and in a page: it uses nothing but the global WebSocket.

/** Runs the client: a step after the welcome and after each answer. Returns what it received and how it was closed. */
export function guideClient(url) {
  return new Promise((resolve, reject) => {
    const received = [];
    const ws = new WebSocket(url);
    const steps = [
      () => ws.send(JSON.stringify({ type: "hello", payload: "world" })),
      () => {
        if (ws.readyState === WebSocket.OPEN) {
          ws.send("Hello!");
        }
      },
      () => {
        const binary = new ArrayBuffer(8);
        const view = new DataView(binary);
        view.setFloat64(0, 3.14);
        ws.send(binary);
      },
      () => {
        const blob = new Blob(["hello"], { type: "text/plain" });
        ws.send(blob);
      },
      () => ws.close(1000, "Goodbye"),
    ];
    ws.binaryType = "arraybuffer";
    ws.onmessage = (event) => {
      received.push(typeof event.data === "string" ? event.data : [...new Uint8Array(event.data)]);
      steps.shift()?.();
    };
    ws.onerror = (error) => reject(new Error(`WebSocket error: ${error.message ?? ""}`));
    ws.onclose = (event) => resolve({ received, code: event.code, wasClean: event.wasClean });
  });
}

/** The guide's second client, as it stands there. */
export class ReconnectingWebSocket {
  constructor(url, options = {}) {
    this.url = url;
    this.reconnectInterval = options.reconnectInterval || 1000;
    this.maxRetries = options.maxRetries || 10;
    this.retries = 0;
    this.onopen = options.onopen;
    this.onmessage = options.onmessage;
    this.onclose = options.onclose;
    this.onerror = options.onerror;
    this.connect();
  }
  connect() {
    this.ws = new WebSocket(this.url);
    this.ws.onopen = () => {
      this.retries = 0;
      this.onopen?.();
    };
    this.ws.onmessage = (e) => this.onmessage?.(e);
    this.ws.onclose = (e) => {
      this.onclose?.(e);
      if (this.retries < this.maxRetries) {
        const delay = this.reconnectInterval * Math.pow(2, this.retries);
        setTimeout(() => {
          this.retries++;
          this.connect();
        }, delay);
      }
    };
    this.ws.onerror = (e) => this.onerror?.(e);
  }
  send(data) {
    if (this.ws.readyState === 1) this.ws.send(data);
  }
  close() {
    this.ws.close();
  }
}
