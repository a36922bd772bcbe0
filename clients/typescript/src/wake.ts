/**
 * Calls `wake` when a connection is likelier to succeed, or to have died unnoticed, than a timer knows: the network came
 * back, or the page is looked at again. Listens where these events exist; returns what stops it.
 */
export function onWake(wake: () => void): () => void {
  const visible = (): void => {
    if (document.visibilityState === "visible") wake();
  };
  const page = typeof document === "object" ? document : undefined;
  globalThis.addEventListener?.("online", wake);
  page?.addEventListener("visibilitychange", visible);
  return () => {
    globalThis.removeEventListener?.("online", wake);
    page?.removeEventListener("visibilitychange", visible);
  };
}
