import { readdir, readFile } from "node:fs/promises";

import { describe, expect, it } from "vitest";

import { assets, pageFiles } from "../demo/build.mjs";

describe("the demo page", () => {
  it("is committed as it builds (npm run demo)", async () => {
    const built = await pageFiles();
    const stale: string[] = [];
    for (const [name, text] of Object.entries(built)) {
      if ((await readFile(new URL(name, assets), "utf8")) !== text) stale.push(name);
    }
    expect(stale).toEqual([]);
    expect((await readdir(assets)).sort()).toEqual(Object.keys(built).sort());
  });

  it("needs no inline script, no inline style and nothing from elsewhere", async () => {
    const { "index.html": html, "app.js": script, "style.css": style } = await pageFiles();
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?! src="app\.js"><\/script>)/i);
    expect(html).not.toMatch(/(src|href)="(https?:|\/\/)/);
    expect(style).not.toMatch(/url\((?!data:)|@import/);
    expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/);
  });
});
