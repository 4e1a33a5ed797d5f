/** JSON with its kinds of words in colours. */

import { element } from "./dom.js";

const LONGEST = 40_000;
const WORDS = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

/** Beyond `LONGEST` characters the rest is left to the copy button. */
export function showJson(place, text) {
  const shown = text.slice(0, LONGEST);
  const pieces = [];
  let end = 0;
  for (const match of shown.matchAll(WORDS)) {
    const [, string, colon, number, word] = match;
    const kind = colon ? "key" : string ? "text" : number ? "number" : "word";
    const tinted = string ?? number ?? word;
    pieces.push(shown.slice(end, match.index), element("span", { class: kind }, tinted));
    end = match.index + tinted.length;
  }
  pieces.push(shown.slice(end));
  if (shown.length < text.length) {
    pieces.push(`\n… ${(text.length - shown.length).toLocaleString("en")} more characters`);
  }
  place.replaceChildren(...pieces);
}
