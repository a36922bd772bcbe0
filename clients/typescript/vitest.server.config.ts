import { defineConfig } from "vitest/config";

/** Tests against the server itself; `SERVER_BIN` names its program. */
export default defineConfig({ test: { include: ["test/server/*.test.ts"], testTimeout: 180_000, hookTimeout: 30_000 } });
