/** Keys of the live view, while it is shown. */

/**
 * Run an action for its key, as `KeyboardEvent.key` names it.
 * @param {Record<string, () => void>} actions
 * @param {AbortSignal} signal Ends it.
 */
export function onShortcuts(actions, signal) {
  document.addEventListener("keydown", (event) => {
    // A control has its own keys; of buttons, that is the space bar alone.
    const controls = event.key === " " ? "input, select, button, summary, a" : "input, select";
    const operated = event.target instanceof Element && event.target.matches(controls);
    const action = actions[event.key];
    if (!action || operated || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }, { signal });
}
