/** What a person carries off: text on the clipboard, a file in the downloads. */

import { element } from "./dom.js";

const SAID_MS = 1500;

/** The button copies what `text()` gives and says so for a moment. */
export function copyButton(button, text) {
  const label = [...button.childNodes];
  let timer;
  button.addEventListener("click", async () => {
    const copied = await copy(text());
    button.replaceChildren(copied ? "Copied" : "Not allowed");
    clearTimeout(timer);
    timer = setTimeout(() => button.replaceChildren(...label), SAID_MS);
  });
}

export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyTheOldWay(text); // over plain HTTP the clipboard is closed, but for localhost
  }
}

function copyTheOldWay(text) {
  const focused = document.activeElement;
  const area = element("textarea", { class: "visually-hidden" });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}
