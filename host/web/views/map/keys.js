/** The keys of the editor: tools and levels anywhere in the view, a cell to paint on the drawing. */

/** @typedef {import("./editor.js").Editor} Editor */

/** Cells that an arrow key moves with Shift. */
const LEAP = 8;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** @type {Record<string, import("./tools.js").Tool>} */
const TOOLS = { b: "brush", r: "rectangle", f: "fill", t: "stamp", s: "select" };

/**
 * What to do when a key goes down or up, wherever the focus is.
 * @param {Editor} editor
 * @returns {{down: (event: KeyboardEvent) => void, up: (event: KeyboardEvent) => void}}
 */
export function keysOf(editor) {
  const onDrawing = () => document.activeElement === editor.easel.canvas;
  return {
    down(event) {
      if (isTyping(event.target)) return;
      const key = event.key.toLowerCase();
      const commands = event.ctrlKey || event.metaKey;
      if (commands ? command(editor, key, event.shiftKey) : paint(editor, event, key, onDrawing())) {
        event.preventDefault();
      }
    },
    up(event) {
      // A rectangle is open until the second press.
      if (event.key === " " && onDrawing() && editor.tools.pressed && !editor.tools.band) editor.release();
    },
  };
}

/** @param {Editor} editor @param {string} key @param {boolean} shift */
function command(editor, key, shift) {
  if (key === "z") {
    if (shift) editor.redo();
    else editor.undo();
  } else if (key === "y") editor.redo();
  else return false;
  return true;
}

/** @param {Editor} editor @param {KeyboardEvent} event @param {string} key @param {boolean} onDrawing */
function paint(editor, event, key, onDrawing) {
  const { tools, easel } = editor;
  const level = /^\d$/.test(key) ? Number(key) : -1;
  if (editor.levels.includes(level)) editor.choose(level);
  else if (key in TOOLS) editor.take(TOOLS[key]);
  else if (key === "[" || key === "]") editor.resize(key === "]" ? 1 : -1);
  else if (key === "+" || key === "=") editor.zoom(1);
  else if (key === "-") editor.zoom(-1);
  else if (key === "home") editor.zoom(0);
  else if (key === "escape" && (tools.pressed || tools.selection)) editor.escape();
  else if (!onDrawing) return false;
  else if (event.key in ARROWS) {
    const leap = event.shiftKey ? LEAP : 1;
    const [across, down] = ARROWS[event.key];
    editor.walk(across * leap, down * leap);
  } else if (key === " " || key === "enter") {
    if (tools.band) editor.release();
    else if (!event.repeat && !tools.pressed) {
      editor.press(editor.cursor);
      if (key === "enter" && !tools.band) editor.release();
    }
  } else if (key === "i") editor.pick(editor.cursor);
  else return false;
  easel.reveal(editor.cursor);
  return true;
}

/** @param {EventTarget|null} target */
const isTyping = (target) => target instanceof HTMLInputElement && target.type !== "checkbox" && target.type !== "range";
