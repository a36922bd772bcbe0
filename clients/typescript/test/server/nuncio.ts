/** The real server, in demo mode on a free port with a data folder of its own, to be killed and started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Milliseconds that a start may take, recovery of the data included. */
const START_MAX = 10_000;

export class Nuncio {
  readonly #program: string;
  readonly #folder: string;
  readonly #address: string;
  #process: ChildProcess | undefined;

  private constructor(program: string, folder: string, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.#address = `127.0.0.1:${port}`;
  }

  static async start(): Promise<Nuncio> {
    const program = process.env["SERVER_BIN"];
    if (!program) throw new Error("SERVER_BIN must name the server's program");
    const nuncio = new Nuncio(program, await mkdtemp(join(tmpdir(), "nuncio-test-")), await freePort());
    await nuncio.run().catch(async (error: unknown) => {
      await nuncio.end();
      throw error;
    });
    return nuncio;
  }

  get page(): string {
    return `http://${this.#address}/`;
  }

  get socket(): string {
    return `ws://${this.#address}/ws`;
  }

  async token(name: string): Promise<string> {
    const response = await fetch(`${this.page}demo/token`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name }),
    });
    return ((await response.json()) as { token: string }).token;
  }

  /** Starts the program and waits until it is ready. */
  async run(): Promise<void> {
    this.#process = spawn(this.#program, ["serve"], {
      cwd: this.#folder,
      // Rooms keep everything: a client may by chance miss every chance to return for a while, and must lose nothing even then.
      env: {
        ...process.env,
        NUNCIO_SERVER_LISTEN: this.#address,
        NUNCIO_LIMITS_RATE_PER_SECOND: "0",
        NUNCIO_HISTORY_MESSAGES: "100000",
      },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const late = Date.now() + START_MAX;
    while (!(await this.#isReady())) {
      if (Date.now() > late || this.#process.exitCode !== null) throw new Error("the server did not start");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends the process as a power cut does. */
  async kill(): Promise<void> {
    const ended = once(this.#process!, "exit");
    this.#process!.kill("SIGKILL");
    await ended;
  }

  async end(): Promise<void> {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) await this.kill();
    await rm(this.#folder, { recursive: true });
  }

  async #isReady(): Promise<boolean> {
    return fetch(`${this.page}readyz`).then(({ ok }) => ok, () => false);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
