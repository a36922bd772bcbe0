// The server's program, in demo mode on a free port with a data folder of its own, to be killed and started again.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Milliseconds that a start may take, the recovery of the data included. */
const START_MAX = 30_000;

export class Nuncio {
  #folder;
  #address;
  #process;
  #settings;

  /** Starts the demo with settings such as `limits.rate_per_second=0`. */
  static async start(settings = []) {
    const nuncio = new Nuncio();
    nuncio.#settings = settings.flatMap((setting) => ["--set", setting]);
    nuncio.#folder = await mkdtemp(join(tmpdir(), "nuncio-browser-"));
    nuncio.#address = `127.0.0.1:${await freePort()}`;
    await nuncio.startAgain();
    return nuncio;
  }

  get page() {
    return `http://${this.#address}/`;
  }

  get pid() {
    return this.#process.pid;
  }

  url(path) {
    return `ws://${this.#address}${path}`;
  }

  /** Ends the process as a power cut does. */
  kill() {
    return this.#finish("SIGKILL");
  }

  /** Ends the process as an operator does: it says goodbye to its clients. */
  stop() {
    return this.#finish("SIGTERM");
  }

  async #finish(signal) {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    await ended;
  }

  /** Starts the program on the same data and port, and waits until it is ready. */
  async startAgain() {
    const program = process.env.SERVER_BIN;
    if (!program) throw new Error("SERVER_BIN must name the server's program");
    this.#process = spawn(program, ["--listen", this.#address, ...this.#settings], {
      cwd: this.#folder,
      env: { ...process.env, NUNCIO_LOG_LEVEL: "error" },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const late = Date.now() + START_MAX;
    while (!(await this.#isReady())) {
      if (Date.now() > late || this.#process.exitCode !== null) throw new Error("the server did not start");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async end() {
    await this.kill();
    await rm(this.#folder, { recursive: true });
  }

  async #isReady() {
    return fetch(`${this.page}readyz`).then(({ ok }) => ok, () => false);
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
