/** The few ways in which the page touches the document. Text is only ever set as text. */

/** The element with this id, which `index.html` has. */
export function byId<Type extends Element = HTMLElement>(id: string): Type {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as unknown as Type;
}

export interface Attributes {
  class?: string;
  text?: string;
  testId?: string;
  [attribute: string]: string | undefined;
}

/** A new element; `text` becomes its text content, other names its attributes. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  { text, testId, ...attributes }: Attributes = {},
  ...children: Node[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (testId !== undefined) made.dataset["testid"] = testId;
  for (const [attribute, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

export type IconName = "pending" | "sent" | "failed" | "close";

/** A symbol of the page's sprite. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A round sign for a user: the first letters of the name on one of twelve hues, always the same for one name. */
export function avatar(name: string, into: HTMLElement = element("span", { class: "avatar", "aria-hidden": "true" })): HTMLElement {
  into.textContent = initials(name);
  into.dataset["hue"] = String(hash(name) % 12);
  return into;
}

function initials(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0]!, words.at(-1)!].map((word) => [...word][0]) : [...(words[0] ?? name)].slice(0, 1);
  return letters.join("").toUpperCase();
}

function hash(text: string): number {
  // FNV-1a, its high bits folded in: names that differ by a letter should differ in hue.
  let value = 0x811c9dc5;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0)!, 0x01000193);
  return (value ^ (value >>> 15)) >>> 0;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** `ts` in milliseconds, as hours and minutes. */
export function timeOf(ts: number): HTMLTimeElement {
  return element("time", { datetime: new Date(ts).toISOString(), text: clock.format(ts) });
}

/** `ts` in milliseconds, as the name of its day. */
export function dayOf(ts: number): string {
  return day.format(ts);
}
