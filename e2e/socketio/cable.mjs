// A cable between a client and the server, which can be cut and mended.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Cable {
  #server;
  #sockets = new Set();
  #isCut = false;

  /** A cable to the server at this URL. */
  static async to(page) {
    const cable = new Cable();
    const { hostname, port } = new URL(page);
    cable.#server = createServer((near) => {
      if (cable.#isCut) return near.destroy();
      const far = connect(Number(port), hostname);
      for (const [socket, other] of [[near, far], [far, near]]) {
        cable.#sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          cable.#sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
    cable.#server.listen(0, "127.0.0.1");
    await once(cable.#server, "listening");
    return cable;
  }

  get page() {
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  /** Breaks all connections, and those that are tried until it is mended. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#isCut = false;
  }

  close() {
    this.cut();
    this.#server.close();
  }
}
