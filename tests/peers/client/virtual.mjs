// What the client gets in place of time and the network: a clock that is moved by hand, and sockets
// whose server is the test itself.

export class Clock {
  #now = 1_000_000;
  #timers = [];

  now() {
    return this.#now;
  }

  setTimeout(call, ms) {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return timer;
  }

  clearTimeout(timer) {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  get waiting() {
    return this.#timers.length;
  }

  /** Runs what is due within `ms`, in order, and lets promises settle after each. */
  async pass(ms) {
    const end = this.#now + ms;
    await settled();
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#now = Math.max(this.#now, due.at);
      this.clearTimeout(due);
      due.call();
      await settled();
    }
    this.#now = end;
  }
}

export async function settled() {
  for (let n = 0; n < 20; n++) await null;
}

/** All sockets that a client opened, newest last. */
export function network() {
  const sockets = [];
  class Socket {
    sent = [];
    bufferedAmount = 0;
    isClosed = false;

    constructor(url, protocols) {
      this.url = url;
      this.protocols = protocols;
      sockets.push(this);
    }

    send(data) {
      this.sent.push(typeof data === "string" ? JSON.parse(data) : new Int16Array(data));
    }

    close(code) {
      this.isClosed = true;
      this.closedWith = code;
    }

    // the server's side

    async open(ready = {}) {
      this.onopen?.({});
      this.say({ type: "ready", session: "s", call: null, sample_rate: 16000, ...ready });
      await settled();
    }

    say(message) {
      this.onmessage?.({ data: JSON.stringify(message) });
    }

    play(samples) {
      this.onmessage?.({ data: Int16Array.from(samples).buffer });
    }

    async hangUp(code, reason = "") {
      this.onclose?.({ code, reason });
      await settled();
    }

    /** Messages of one type, the start message's aside. */
    told(type) {
      return this.sent.filter((one) => one.type === type);
    }

    get audio() {
      return this.sent.filter((one) => one instanceof Int16Array);
    }
  }
  return { sockets, Socket, last: () => sockets[sockets.length - 1] };
}
