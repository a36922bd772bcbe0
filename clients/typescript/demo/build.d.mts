/** Where the built page is committed. */
export const assets: URL;
/** The page's files by name, as they are served. */
export function pageFiles(): Promise<Record<"index.html" | "favicon.svg" | "app.js" | "style.css", string>>;
