// Builds the page into the server's assets, where they are committed: the server's build needs no npm.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build, transform } from "esbuild";

const here = new URL("./", import.meta.url);
export const assets = new URL("../../../crates/nuncio/assets/", here);

/** What the licence of the bundled client asks for. */
const NOTICE =
  "/*! Contains socket.io-client, engine.io-client and their parsers: (c) 2014-present Guillermo Rauch and Socket.IO contributors, MIT License, https://github.com/socketio/socket.io */";

/** The page's files by name, as they are served. */
export async function pageFiles() {
  const script = await build({
    entryPoints: [fileURLToPath(new URL("main.ts", here))],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    banner: { js: NOTICE },
    write: false,
  });
  const style = await transform(await readFile(new URL("style.css", here), "utf8"), { loader: "css", minify: true });
  return {
    "index.html": await readFile(new URL("index.html", here), "utf8"),
    "favicon.svg": await readFile(new URL("favicon.svg", here), "utf8"),
    "app.js": script.outputFiles[0].text,
    "style.css": style.code,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await mkdir(assets, { recursive: true });
  for (const [name, text] of Object.entries(await pageFiles())) {
    await writeFile(new URL(name, assets), text);
    console.log(`${name}: ${Buffer.byteLength(text)} bytes`);
  }
}
