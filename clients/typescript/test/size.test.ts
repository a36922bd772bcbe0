import { gzipSync } from "node:zlib";

import { build } from "esbuild";
import { describe, expect, it } from "vitest";

/** Bytes of an entry point, bundled, minified and compressed as a page would load it. */
async function size(entry: string): Promise<number> {
  const { outputFiles } = await build({
    entryPoints: [`src/${entry}.ts`],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}

describe("the bundle", () => {
  it("of the core is at most 6 KB", async () => {
    const bytes = await size("index");
    console.info(`core: ${bytes} bytes`);
    expect(bytes).toBeLessThanOrEqual(6 * 1024);
  });

  it("of the WebSocket that reconnects stands without the core, in at most 2.5 KB", async () => {
    const bytes = await size("reconnecting-websocket");
    console.info(`reconnecting-websocket: ${bytes} bytes`);
    expect(bytes).toBeLessThanOrEqual(2.5 * 1024);
  });

  it("of the fallback adds at most 3.5 KB", async () => {
    const bytes = await size("fallback");
    console.info(`fallback: ${bytes} bytes`);
    expect(bytes).toBeLessThanOrEqual(3.5 * 1024);
  });
});
