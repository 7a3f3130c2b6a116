/** Elements of the page, found, made and drawn on. */

/**
 * The element with an id.
 * @overload
 * @param {string} id
 * @returns {HTMLElement}
 */
/**
 * The element with an id and of a kind.
 * @template {HTMLElement} E
 * @overload
 * @param {string} id
 * @param {new () => E} kind
 * @returns {E}
 */
/**
 * @param {string} id
 * @param {new () => HTMLElement} kind
 */
export function byId(id, kind = HTMLElement) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new TypeError(`The page has no ${kind.name} with the id ${id}.`);
  return found;
}

/** Write text into the element with an id, unless it is there already. @param {string} id @param {string} text */
export function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Set those properties of an element that differ; an attribute that is set again costs as much as another.
 * @template {HTMLElement} E
 * @param {E} element
 * @param {Partial<E>} properties
 */
export function set(element, properties) {
  const names = /** @type {(keyof E)[]} */ (Object.keys(properties));
  for (const name of names) {
    if (element[name] !== properties[name]) Object.assign(element, { [name]: properties[name] });
  }
}

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Partial<HTMLElementTagNameMap[K]>} [properties]
 * @param {...(Node|string)} content
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, ...content) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...content);
  return element;
}

/**
 * The drawing context of a canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
export function context2d(canvas, settings) {
  const context = canvas.getContext("2d", settings);
  if (!context) throw new Error("This browser cannot draw on a canvas.");
  return context;
}
