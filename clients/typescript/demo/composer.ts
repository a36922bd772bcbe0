import { byId } from "./dom.js";

export interface ComposerEvents {
  send(text: string): void;
  /** At each change: whether something is being written. */
  input(text: string): void;
}

/** The field to write in. Enter sends, Shift+Enter begins a line. */
export class Composer {
  readonly #form = byId<HTMLFormElement>("message-form");
  readonly #input = byId<HTMLTextAreaElement>("message-input");
  readonly #send = byId<HTMLButtonElement>("send");
  readonly #events: ComposerEvents;

  constructor(events: ComposerEvents) {
    this.#events = events;
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    this.#input.oninput = () => this.#changed();
    this.#input.onkeydown = (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    };
  }

  get text(): string {
    return this.#input.value;
  }

  /** Shows the draft of another conversation; without a `placeholder` there is nobody to write to. */
  show(draft: string, placeholder: string | undefined): void {
    this.#input.value = draft;
    this.#input.placeholder = placeholder ?? "";
    this.#input.disabled = placeholder === undefined;
    this.#fit();
  }

  focus(): void {
    // On a phone the keyboard would cover half of what was just chosen.
    if (matchMedia("(hover: hover)").matches) this.#input.focus();
  }

  #submit(): void {
    const text = this.text.trim();
    if (text === "") return;
    this.#input.value = "";
    this.#fit();
    this.#events.send(text);
  }

  #changed(): void {
    this.#fit();
    this.#events.input(this.text);
  }

  #fit(): void {
    this.#send.disabled = this.text.trim() === "";
    this.#input.rows = Math.min(6, this.text.split("\n").length);
  }
}
