/** The package as it is published, in each runtime that it names, against the server, which is killed and restarted meanwhile. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { build } from "esbuild";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocketServer } from "ws";

import { Nuncio } from "./nuncio.js";

const FINE = "nothing lost, repeated or reordered";
const PACKAGE = join(import.meta.dirname, "../..");
const PROGRAM = join(PACKAGE, "test/runtimes/program.mjs");

let dist: string;
let echo: WebSocketServer;
beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), "nuncio-dist-"));
  await finished(spawn("npx", ["tsc", "-p", "tsconfig.build.json", "--outDir", dist], { cwd: PACKAGE, stdio: "inherit" }));
  // Else Node takes the scripts for CommonJS, outside the package.
  await writeFile(join(dist, "package.json"), JSON.stringify({ type: "module" }));
  echo = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  echo.on("connection", (socket) =>
    socket.on("message", (data, isBinary) => (String(data) === "cut me" ? socket.terminate() : socket.send(data, { binary: isBinary }))),
  );
  await once(echo, "listening");
});
afterAll(async () => {
  echo.close();
  await rm(dist, { recursive: true });
});

it.each([
  ["Node", process.execPath, {}],
  ["a worker thread of Node", process.execPath, { THREAD: "1" }],
  ["Bun", join(PACKAGE, "node_modules/.bin/bun"), {}],
  ["a worker of Bun", join(PACKAGE, "node_modules/.bin/bun"), { THREAD: "1" }],
])("in %s it survives a kill of the server, on each transport", async (_, runtime, environment) => {
  const nuncio = await Nuncio.start();
  try {
    const { page, socket } = nuncio;
    const line = [PROGRAM, dist, page, socket, echoUrl()];
    const program = spawn(runtime, line, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "inherit"] });
    const told: string[] = [];
    for await (const each of createInterface(program.stdout)) {
      if (each === "cut me") await restart(nuncio);
      else told.push(each);
    }
    expect(told).toEqual([FINE]);
  } finally {
    await nuncio.end();
  }
});

it("in a worker of a page it survives a kill of the server, on each transport", async () => {
  const nuncio = await Nuncio.start();
  const browser = await chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    // A page that no network brought counts as a public one, which may not reach this machine.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-features=LocalNetworkAccessChecks"],
  });
  try {
    const page = await browser.newPage();
    // From the server's own origin, which it lets in.
    await page.route("**/page-with-a-worker", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
    const script = await bundle();
    await page.route("**/worker.js", (route) => route.fulfill({ contentType: "text/javascript", body: script }));
    await page.exposeFunction("cutMe", () => restart(nuncio));
    await page.goto(`${nuncio.page}page-with-a-worker`);
    const told = await page.evaluate(work, { page: nuncio.page, socket: nuncio.socket, echo: echoUrl() });
    expect(told).toBe(FINE);
  } finally {
    await browser.close();
    await nuncio.end();
  }
});

/** Runs in the page. */
function work(urls: object): Promise<unknown> {
  return new Promise((resolve) => {
    const worker = new Worker("/worker.js");
    worker.onmessage = ({ data }) => {
      if (data === "cut me") void (globalThis as unknown as { cutMe(): void }).cutMe();
      else resolve(data);
    };
    worker.onerror = ({ message }) => resolve(message);
    worker.postMessage(urls);
  });
}

async function bundle(): Promise<string> {
  const built = await build({ entryPoints: [join(PACKAGE, "test/runtimes/worker.ts")], bundle: true, write: false, format: "iife", target: "es2022" });
  return built.outputFiles[0]!.text;
}

async function restart(nuncio: Nuncio): Promise<void> {
  await nuncio.kill();
  await nuncio.run();
}

function echoUrl(): string {
  return `ws://127.0.0.1:${(echo.address() as AddressInfo).port}`;
}

async function finished(child: ChildProcess): Promise<void> {
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${child.spawnargs.join(" ")} ended with ${code}`);
}
