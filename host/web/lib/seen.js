/** What of the page is on the screen: nothing else needs to be drawn. */

/** @typedef {{seen: boolean, came: () => void}} Watched */

/** @type {WeakMap<Element, Watched>} */
const watched = new WeakMap();

const observer = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    const place = watched.get(target);
    if (!place) continue;
    const came = isIntersecting && !place.seen;
    place.seen = isIntersecting;
    if (came) place.came();
  }
});

/** Knows whether an element is on the screen; until the browser has said so, it counts as seen. */
export class Seen {
  #element;
  #place;

  /** @param {Element} element @param {() => void} came It came onto the screen: draw what was left out. */
  constructor(element, came) {
    this.#element = element;
    this.#place = { seen: true, came };
    watched.set(element, this.#place);
    observer.observe(element);
  }

  /** Whether it is on the screen, as far as that is known. */
  get now() {
    return this.#place.seen;
  }

  /** The page has moved it: ask the browser again. */
  again() {
    this.#place.seen = true;
    observer.unobserve(this.#element);
    observer.observe(this.#element);
  }
}
