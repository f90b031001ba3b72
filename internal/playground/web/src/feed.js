// A subscription's events as one answer: every event stays, newest first.

// More than this many are not rendered: the editor would become slow. What is no
// longer shown is counted in the answer.
export const shownEvents = 1000;

// Events that come in quick succession are rendered together, this often.
const renderEvery = 100;

// Feed collects events and hands the whole of what is to be shown to render, at most
// once in renderEvery milliseconds and once more when it ends.
export class Feed {
  #render;
  #events = [];
  #received = 0;
  #ending = null;
  #timer = null;

  constructor(render) {
    this.#render = render;
  }

  add(result) {
    this.#received++;
    this.#events.unshift([`#${this.#received} at ${clock()}`, result]);
    this.#events.length = Math.min(this.#events.length, shownEvents);
    this.#timer ??= setTimeout(() => this.#flush(), renderEvery);
  }

  // end says, above all events, why no more will come.
  end(why) {
    this.#ending = why;
    this.#flush();
  }

  // stop ends the feed at the reader's wish: what is shown stays as it is.
  stop() {
    clearTimeout(this.#timer);
    if (this.#timer) this.#flush();
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const shown = {};
    if (this.#ending) shown[`ended at ${clock()}`] = this.#ending;
    for (const [label, result] of this.#events) shown[label] = result;
    const hidden = this.#received - this.#events.length;
    if (hidden > 0) shown['no longer shown'] = hidden;
    this.#render(shown);
  }
}

function clock() {
  return new Date().toTimeString().slice(0, 8) + '.' + String(Date.now() % 1000).padStart(3, '0');
}
