// Server-sent events for as long as somebody looks. Over HTTP/1.1 a browser opens six connections to a host, for all of
// its tabs together, and a stream holds one. A page that is hidden gives its own back, and goes on where it was when it
// is seen again; those that are seen share four, in turns of some seconds where they are more.
import { toast } from "./app.js";

const RETRY_MS = 5_000, LONGEST_RETRY_MS = 60_000;
const SLOTS = 4, TURN_MS = 5_000;
const slotName = (number) => `mitorch-stream-${number}`;

/** Does the work while it holds one of the slots that all tabs share: a free one, or else the next of any. */
async function withSlot(signal, work) {
  let done = false;
  for (let number = 0; number < SLOTS && !done; number += 1) {
    const name = slotName(number);
    await navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock || signal.aborted) return null;
      done = true;
      return work(name);
    });
  }
  const name = slotName(Math.floor(Math.random() * SLOTS));
  if (!done) await navigator.locks.request(name, { signal }, () => work(name));
}

async function isWantedByOthers(name) {
  return (await navigator.locks.query()).pending.some((one) => one.name === name);
}

export class LiveStream {
  /** `address()`: where to go on now. `handlers`: name of an event -> function(message); `open` when it begins anew. */
  constructor(address, handlers) {
    this.address = address;
    this.handlers = handlers;
    this.turn = null; // aborted when the stream is closed
    this.source = null;
    this.ended = false;
    this.wait = RETRY_MS;
    this.look = () => (document.hidden ? this.#pause() : this.#open());
    this.away = () => this.#pause();
    document.addEventListener("visibilitychange", this.look);
    addEventListener("pagehide", this.away);
    addEventListener("pageshow", this.look);
    this.look();
  }

  /** Begins anew at what `address()` says now. */
  restart() {
    this.#pause();
    this.look();
  }

  close() {
    this.ended = true;
    this.#pause();
    document.removeEventListener("visibilitychange", this.look);
    removeEventListener("pagehide", this.away);
    removeEventListener("pageshow", this.look);
  }

  async #open() {
    clearTimeout(this.timer);
    if (this.ended || this.turn) return;
    const turn = new AbortController();
    this.turn = turn;
    if (!navigator.locks) return void this.#connect(); // of pages of this machine or with a certificate only
    await withSlot(turn.signal, (name) => this.#takeTurn(turn, name)).catch(() => {}); // aborted: nobody looks any more
    if (this.turn === turn) this.restart(); // another one wanted its turn
  }

  /** Connects until the stream is closed, or another tab waits for the slot. */
  async #takeTurn(turn, name) {
    if (turn.signal.aborted) return;
    this.#connect();
    const closed = new Promise((resolve) => turn.signal.addEventListener("abort", () => resolve(true)));
    for (;;) {
      let timer = 0;
      const passed = new Promise((resolve) => { timer = setTimeout(() => resolve(false), TURN_MS); });
      if (await Promise.race([closed, passed])) return void clearTimeout(timer);
      if (await isWantedByOthers(name)) return void this.source?.close();
    }
  }

  #connect() {
    const source = new EventSource(this.address());
    this.source = source;
    for (const [name, handle] of Object.entries(this.handlers)) source.addEventListener(name, (message) => source === this.source && handle(message));
    source.addEventListener("open", () => { this.wait = RETRY_MS; });
    source.addEventListener("error", () => this.#failed(source));
  }

  #pause() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.turn?.abort();
    this.turn = null;
  }

  // The browser goes on by itself after a lost connection, but gives up on an answer that is an error.
  async #failed(source) {
    if (source !== this.source || source.readyState !== EventSource.CLOSED) return;
    this.#pause();
    const answer = await fetch(location.href, { method: "HEAD" }).catch(() => null);
    if (answer?.status === 401) {
      this.close();
      toast("This page is not kept up to date any more: the link to it has expired, or the token is another one.", true);
      return;
    }
    this.timer = setTimeout(this.look, this.wait);
    this.wait = Math.min(LONGEST_RETRY_MS, this.wait * 2);
  }
}
