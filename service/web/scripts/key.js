/** The key of a server that asks for one. It is forgotten when the tab is closed. */

import { element } from "./dom.js";

const STORED = "panoptes-key";

/** The headers, with the key if there is one. */
export function withKey(headers = {}) {
  const key = sessionStorage.getItem(STORED);
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

let asking = null;

/** Ask the person; true if there is a new key to try. Many may wait for one answer. */
export function askForKey() {
  asking ??= show().finally(() => (asking = null));
  return asking;
}

function show() {
  const field = element("input", {
    type: "password",
    id: "key",
    autocomplete: "off",
    required: true,
    spellcheck: "false",
  });
  const known = sessionStorage.getItem(STORED);
  const dialog = element(
    "dialog",
    { class: "key", "aria-labelledby": "key-title" },
    element(
      "form",
      { method: "dialog" },
      element("h2", { id: "key-title" }, known ? "This key is not known" : "This server asks for a key"),
      element("label", { for: "key" }, "Key", field),
      element("p", { class: "hint" }, "Kept until this tab is closed."),
      element(
        "div",
        { class: "actions" },
        element("button", { type: "button", onclick: () => dialog.close("") }, "Not now"),
        element("button", { class: "primary", value: "use" }, "Use it"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" && field.value.trim();
      if (given) sessionStorage.setItem(STORED, given);
      dialog.remove();
      resolve(Boolean(given));
    });
  });
}
