/** Recordings: for now, what to do instead. */

/** See `View` of `views/view.js`. */
export class View {
  show() {}

  hide() {}

  follow() {}
}
