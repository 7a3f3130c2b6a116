/** Dark or light: as the system has it, until a person chooses. */

const KEY = "focalloop-theme";
const system = matchMedia("(prefers-color-scheme: light)");

/**
 * Set the theme now and whenever it changes.
 * @param {HTMLElement} button Changes it.
 * @param {() => void} changed What is drawn in the colours of the style sheet has to be drawn anew.
 */
export function followTheme(button, changed) {
  const apply = () => {
    const theme = localStorage.getItem(KEY) ?? (system.matches ? "light" : "dark");
    document.documentElement.dataset.theme = theme;
    const other = theme === "light" ? "dark" : "light";
    button.title = `Change to the ${other} theme`;
    return other;
  };
  let other = apply();
  const again = () => {
    other = apply();
    changed();
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, other);
    again();
  });
  system.addEventListener("change", again);
}
