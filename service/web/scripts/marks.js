/** What is marked on the picture, its name tag, and the row in the list that tells of it. */

import { element, shape } from "./dom.js";

const TAG_PX = 13; // of the screen, whatever the size of the picture

/** How many pixels of the picture one of the screen is. */
export function pixelsOfPicture(overlay, width, height) {
  const { width: across, height: down } = overlay.getBoundingClientRect();
  return across && down ? Math.max(width / across, height / down) : 1;
}

/** A name at the upper left of a box, above it if there is room, in a picture of that `width`. */
export function nameTag(text, [left, top], width, perPx, ...inside) {
  const size = TAG_PX * perPx;
  const height = size * 1.5;
  const at = { x: left, y: top >= height ? top - height : top };
  return shape(
    "g",
    { class: "tag", "data-room": width },
    shape("rect", { ...at, height, rx: 3 * perPx }),
    shape("text", { x: at.x + size * 0.4, y: at.y + height / 2, "font-size": size }, text),
    inside,
  );
}

/** Only what is on the page has a width. Tags that would leave the picture move to the left. */
export function fitTags(marks, perPx) {
  for (const tag of marks.map((each) => each.querySelector(".tag"))) {
    const [ground, text] = tag.children;
    const width = text.getComputedTextLength() + 0.8 * TAG_PX * perPx;
    const beyond = Number(ground.getAttribute("x")) + width - Number(tag.dataset.room);
    if (beyond > 0) tag.setAttribute("transform", `translate(${-beyond} 0)`);
    ground.setAttribute("width", width);
  }
}

/** `share` of 1 is the length of the bar, `number` what stands beside it. */
export function markRow(name, share, number, colour) {
  const swatch = element("i", { "aria-hidden": "true" });
  swatch.style.background = colour;
  const bar = element("i");
  bar.style.transform = `scaleX(${share})`;
  return element(
    "li",
    { tabindex: 0 },
    element("span", { class: "name", title: name }, swatch, name),
    element("span", { class: "bar", "aria-hidden": "true" }, bar),
    element("span", { class: "score" }, number),
  );
}

/** The colour of a mark, and of text on it. */
export function colourMark(mark, colour) {
  mark.style.setProperty("--colour", colour);
  mark.style.setProperty("--on-colour", inkOn(colour));
}

/** Near-black or white, whichever contrasts more (WCAG 2.2). */
function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) ? "#101014" : "#ffffff";
}

/** A row and what it tells of are marked together. */
export function markTogether(row, mark, overlay) {
  const show = (is) => {
    for (const part of [row, mark]) part.classList.toggle("marked", is);
    overlay.classList.toggle("has-marked", is);
  };
  for (const part of [row, mark]) {
    part.addEventListener("pointerenter", () => show(true));
    part.addEventListener("pointerleave", () => show(false));
  }
  row.addEventListener("focus", () => show(true));
  row.addEventListener("blur", () => show(false));
}
