/** Asks a server in demo mode for a token that carries this name. */
export async function demoToken(name: string): Promise<string> {
  const response = await fetch("demo/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name }),
  });
  if (response.status === 404) throw new Error("This server is not in demo mode.");
  if (!response.ok) throw new Error((await reasonOf(response)) || `The server answered ${response.status}.`);
  const { token } = (await response.json()) as { token: string };
  return token;
}

/** The error's text, whether it comes as JSON or as it is. */
async function reasonOf(response: Response): Promise<string> {
  const text = (await response.text()).slice(0, 200);
  try {
    const body = JSON.parse(text) as { message?: string; error?: { message?: string } | string };
    return body.message ?? (typeof body.error === "object" ? body.error.message : body.error) ?? text;
  } catch {
    return text;
  }
}
