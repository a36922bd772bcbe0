// Renders the OpenAPI document. Everything goes into the page as text, never as markup.

const source = "/api/v1/openapi.json";

function node(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Text in which `code` stands between backticks; an empty line begins a paragraph. */
function prose(text = "") {
  const paragraphs = text.split(/\n\s*\n/).filter((paragraph) => paragraph.trim() !== "");
  return paragraphs.map((paragraph) => node("p", {}, ...inline(paragraph)));
}

function inline(text) {
  return text.split("`").map((part, index) => (index % 2 === 1 ? node("code", {}, part) : part));
}

function reader(root) {
  const resolve = (schema) => {
    if (!schema?.$ref) return schema ?? {};
    const path = schema.$ref.slice(2).split("/");
    return path.reduce((found, key) => found?.[key], root) ?? {};
  };
  const named = (schema) => schema?.$ref?.split("/").pop();

  /** What a value is, in a few words. */
  const kind = (schema) => {
    if (!schema || Object.keys(schema).length === 0) return "any JSON";
    const forms = (schema.anyOf ?? schema.oneOf ?? []).filter((form) => form.type !== "null");
    if (schema.$ref) {
      const form = resolve(schema);
      return form.type === "object" || form.oneOf ? named(schema) : `${kind(form)} (${named(schema)})`;
    }
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
    if ("const" in schema) return JSON.stringify(schema.const);
    if (schema.type === undefined && forms.length > 0) return forms.map(kind).join(" | ");
    const types = [schema.type ?? "any JSON"].flat().filter((type) => type !== "null");
    if (types[0] === "array") return `list of ${kind(schema.items)}`;
    const { minimum: low, maximum: high } = schema;
    if (types[0] === "integer" && high !== undefined && high < 2 ** 31) return `integer ${low ?? 0} to ${high}`;
    return types.join(" | ");
  };

  /** The properties of an object, also of one that is made of several forms. */
  const fields = (schema) => {
    const form = resolve(schema);
    const required = new Set(form.required ?? []);
    const rows = Object.entries(form.properties ?? {}).map(([name, property]) => [name, property, required.has(name)]);
    for (const part of [...(form.allOf ?? []), ...(form.anyOf ?? []), ...(form.oneOf ?? [])]) {
      for (const [name, property] of fields(part)) {
        if (!rows.some(([known]) => known === name)) rows.push([name, property, false]);
      }
    }
    return rows;
  };
  return { resolve, named, kind, fields };
}

function table(read, rows, headings = ["field", "what it is", "what it means"]) {
  const body = rows.map(([name, schema, required]) =>
    node(
      "tr",
      {},
      node("td", {}, node("code", required ? { class: "required" } : {}, name)),
      node("td", {}, read.kind(schema)),
      node("td", {}, ...inline(schema.description ?? read.resolve(schema).description ?? "")),
    ),
  );
  const head = node("tr", {}, ...headings.map((heading) => node("th", {}, heading)));
  return node("table", {}, node("thead", {}, head), node("tbody", {}, ...body));
}

/** A table of the fields of a form, and of the forms that it refers to. */
function form(read, schema, shown = new Set()) {
  const name = read.named(schema);
  if (name) shown.add(name);
  const rows = read.fields(schema);
  const parts = rows.length > 0 ? [table(read, rows)] : [];
  for (const [, property] of rows) {
    const candidates = [property, property.items, ...(property.anyOf ?? [])];
    for (const inner of candidates) {
      const innerName = read.named(inner);
      if (innerName && !shown.has(innerName) && read.fields(inner).length > 0) {
        parts.push(node("h3", {}, innerName), ...form(read, inner, shown));
      }
    }
  }
  return parts;
}

function curl(method, path, example) {
  const lines = [`curl ${location.origin}${path}`, `-H "Authorization: Bearer $KEY"`];
  if (method === "post") {
    const body = JSON.stringify(example ?? {}).replaceAll("'", "'\\''");
    lines.push("-H 'Content-Type: application/json'", `-d '${body}'`);
  }
  return node("pre", {}, node("code", {}, lines.join(" \\\n  ")));
}

function command(read, path, method, operation) {
  const content = operation.requestBody?.content["application/json"];
  const [[mediaType, answer]] = Object.entries(operation.responses["200"].content);
  const parameters = (operation.parameters ?? []).map(({ name, schema, description, required }) => {
    const about = description ?? read.resolve(schema).description;
    return [name, { ...schema, description: about }, required];
  });
  const batch = { commands: [{ publish: { roomId: "lobby", content: "Hello" } }] };
  const example = read.resolve(content?.schema).examples?.[0] ?? (operation.operationId === "batch" ? batch : {});
  const known = { roomId: "lobby", sessionId: "wq0c9cXH0dJ5cqkeXWzM" };
  const query = parameters.filter(([name, , required]) => required && name in known && !path.includes(`{${name}}`));
  const asked = query.map(([name]) => `${name}=${known[name]}`).join("&");
  const shown = path.replace("{sessionId}", known.sessionId) + (asked ? `?${asked}` : "");
  return node(
    "section",
    { id: operation.operationId },
    node("h2", {}, node("span", { class: `method ${method}` }, method.toUpperCase()), node("code", { class: "path" }, path), node("span", {}, operation.summary)),
    ...prose(operation.description),
    curl(method, shown, example),
    ...(parameters.length > 0 ? [node("h3", {}, method === "get" ? "Query" : "Headers"), table(read, parameters)] : []),
    ...(content ? [node("h3", {}, "Request"), ...form(read, content.schema)] : []),
    node("h3", {}, "Answer"),
    ...(mediaType === "application/json" ? form(read, answer.schema) : prose(answer.schema.description)),
  );
}

function errors(read, root) {
  const codes = read.resolve(root.components.schemas.ErrorCode);
  const forms = codes.oneOf ?? (codes.enum ?? []).map((value) => ({ const: value }));
  const status = (code) =>
    Object.entries(root.components.responses).find(([, { description }]) => description.includes(`\`${code}\``))?.[0] ?? "405";
  const rows = forms.flatMap((one) => (one.enum ?? [one.const]).map((code) => [code, { const: Number(status(code)), description: one.description }, false]));
  return node("section", { id: "errors" }, node("h2", {}, "Errors"), ...prose("Every refusal is `{\"error\":{\"code\",\"message\"}}`. Branch on `code`; `message` names what is wrong."), table(read, rows, ["code", "status", "cause"]));
}

function render(root) {
  const read = reader(root);
  const commands = Object.entries(root.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const link = ({ path, method, operation }) =>
    node("a", { href: `#${operation.operationId}` }, node("span", { class: `method ${method}` }, method.toUpperCase()), path.replace("/api/v1", ""));
  document.querySelector("#contents").replaceChildren(
    node("strong", {}, `${root.info.title} ${root.info.version}`),
    node("h2", {}, "Commands"),
    ...commands.map(link),
    node("h2", {}, "More"),
    node("a", { href: "#errors" }, "Errors"),
    node("a", { href: source }, "OpenAPI document"),
  );
  document.querySelector("#page").replaceChildren(
    node("h1", {}, root.info.title),
    ...prose(root.info.description),
    ...commands.map(({ path, method, operation }) => command(read, path, method, operation)),
    errors(read, root),
  );
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

const answer = await fetch(source);
if (answer.ok) render(await answer.json());
else document.querySelector("#page").textContent = `${source} answered ${answer.status}`;
