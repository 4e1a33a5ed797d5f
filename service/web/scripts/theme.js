/** Light or dark: the system's, unless a person chose the other one. */

const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

export function followTheme(button) {
  const label = () => button.setAttribute("aria-label", `Switch to the ${other()} theme`);
  button.addEventListener("click", () => {
    choose(other());
    label();
  });
  system.addEventListener("change", label);
  label();
}

function other() {
  return shown() === "dark" ? "light" : "dark";
}

function shown() {
  return root.dataset.theme ?? systems();
}

function systems() {
  return system.matches ? "dark" : "light";
}

/** Choosing what the system has anyway means to follow it again. */
function choose(theme) {
  const own = theme !== systems();
  if (own) root.dataset.theme = theme;
  else delete root.dataset.theme;
  try {
    if (own) localStorage.setItem("theme", theme);
    else localStorage.removeItem("theme");
  } catch {
    // Not remembered, then.
  }
}
