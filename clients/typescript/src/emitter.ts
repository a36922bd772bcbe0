type Listener = (...args: never[]) => unknown;

/** Listeners by event name. A map's values are the listeners' argument lists. */
export class Emitter<Events extends { [Name in keyof Events]: unknown[] }> {
  readonly #listeners = new Map<keyof Events, Set<Listener>>();

  /** Calls `listener` at each `name`; returns what takes it away again. */
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): () => void {
    let set = this.#listeners.get(name);
    if (!set) this.#listeners.set(name, (set = new Set()));
    set.add(listener as Listener);
    return () => this.off(name, listener);
  }

  off<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => unknown): void {
    this.#listeners.get(name)?.delete(listener as Listener);
  }

  /** @internal What the listeners returned. One that throws does not keep the others, or the connection, from their work. */
  dispatch<Name extends keyof Events>(name: Name, ...args: Events[Name]): unknown[] {
    const answers: unknown[] = [];
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        answers.push((listener as (...args: Events[Name]) => unknown)(...args));
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    return answers;
  }
}
