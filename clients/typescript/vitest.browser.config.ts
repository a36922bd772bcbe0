import { defineConfig } from "vitest/config";

/** Tests in Debian's Chromium; `CHROMIUM` names another. */
export default defineConfig({ test: { include: ["test/browser/*.test.ts"], testTimeout: 20_000, hookTimeout: 30_000 } });
