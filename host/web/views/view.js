/**
 * What a view of the page is, and what it is given.
 *
 * A view is a folder with its name: `views/live/live.js` exports the class `View`, `live.html` holds
 * its markup and `live.css` its styles. All three are loaded when the view is shown first, and the
 * markup is in the document before the constructor runs. The views share `lib` and `net`, and import
 * nothing from each other.
 *
 * @typedef {object} View
 * @property {() => void} show It is shown from now on: draw everything. It is also called, after
 *   `hide`, when the theme has changed. `follow` comes next, if there is a state.
 * @property {() => void} hide It is no longer shown: stop timers, draws and requests, give back the
 *   pictures. Until `show` it writes nothing to the document.
 * @property {(state: LiveState) => void} follow A new state of the session, four times per second,
 *   while it is shown; only what has changed is written.
 *
 * @typedef {object} Context What the shell gives to the constructor, `new View(root, context)`.
 * @property {typeof import("../net/service.js")} service Requests to the service.
 * @property {import("../net/preview-socket.js").PreviewSocket} socket `socket.give(receiver)` brings
 *   pictures to the view that is shown, `socket.give(null)` ends that.
 * @property {import("../shell/board-map.js").BoardMap} map The map that the board runs:
 *   `map.listen(called)` until it is hidden.
 * @property {import("../shell/notices.js").Notices} notices The line across the page.
 * @property {import("../shell/status.js").Status} status `status.instead(...)` says on the bar that what
 *   is shown is paused or a replay; null where it is live.
 * @property {import("../shell/dropped-files.js").DroppedFiles} files What is dropped onto the page.
 *
 * @typedef {import("../net/types.js").LiveState} LiveState
 */

export {};
