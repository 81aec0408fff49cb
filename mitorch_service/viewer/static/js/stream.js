// Server-sent events for as long as somebody looks. Over HTTP/1.1 a browser opens six connections to a host, for all of
// its tabs together: a page that is hidden gives its own back, and goes on where it was when it is seen again.
import { toast } from "./app.js";

const RETRY_MS = 5_000, LONGEST_RETRY_MS = 60_000;

export class LiveStream {
  /** `address()`: where to go on now. `handlers`: name of an event -> function(message); `open` when it begins anew. */
  constructor(address, handlers) {
    this.address = address;
    this.handlers = handlers;
    this.source = null;
    this.ended = false;
    this.wait = RETRY_MS;
    this.look = () => (document.hidden ? this.#pause() : this.#open());
    document.addEventListener("visibilitychange", this.look);
    this.away = () => this.#pause();
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

  #open() {
    if (this.ended || this.source) return;
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
