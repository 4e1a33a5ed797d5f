/** /detect: a box around each thing, cut off by score as the slider moves, and a list of them. */

import { element, shape } from "../scripts/dom.js";
import { percent } from "../scripts/format.js";
import { classColour } from "../scripts/palette.js";

const ASKED_SCORE = 0.05;
const TAG_PX = 13; // of the screen, whatever the size of the picture

export const detect = {
  name: "detect",
  title: "Detect",
  summary: "Finds things and boxes them.",
  samples: "scenes",

  options: [
    {
      name: "score_threshold",
      title: "Score above",
      least: ASKED_SCORE,
      most: () => 0.95,
      step: 0.01,
      usual: (model) => model?.defaults?.score_threshold ?? 0.3,
      asked: ASKED_SCORE,
    },
    {
      name: "iou_threshold",
      title: "Overlap up to",
      least: 0,
      most: () => 1,
      step: 0.05,
      usual: (model) => model?.defaults?.iou_threshold ?? 0.5,
      offered: (model) => model?.defaults?.iou_threshold !== undefined,
    },
  ],

  /** What the server would have answered: suppression looks at the surer box first, so that a
   *  higher threshold only shortens the list. */
  narrow(answer, { score_threshold: least }) {
    return { ...answer, detections: answer.detections.filter(({ score }) => score > least) };
  },

  draw({ result, overlay, model }, { width, height, detections }) {
    const rows = detections.map((detection) => row(detection, colourOf(detection, model)));
    const perPx = pixelsOfPicture(overlay, width, height);
    const boxes = detections.map((found) => box(found, colourOf(found, model), width, perPx));
    detections.forEach((_, index) => join(rows[index], boxes[index], overlay));
    // The large first, so that they cover no small one; of equal ones the surest last.
    const area = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
    const order = detections.map((_, index) => index);
    order.sort((one, other) => area(detections[other]) - area(detections[one]) || other - one);
    overlay.classList.remove("has-marked");
    overlay.append(...order.map((index) => boxes[index]));
    fitTags(boxes, perPx);
    const before = result.querySelector(".found")?.scrollTop ?? 0;
    const list = element("ol", { class: "scores found" }, rows);
    const headline = element("p", { class: "headline" }, element("span", {}, count(detections)));
    result.replaceChildren(headline, list);
    list.scrollTop = before;
  },

  say({ detections }) {
    const kinds = new Map();
    for (const { label } of detections) kinds.set(label, (kinds.get(label) ?? 0) + 1);
    const listed = [...kinds].map(([label, times]) => (times > 1 ? `${times} × ${label}` : label));
    return listed.join(", ") || "Nothing found";
  },
};

function count({ length }) {
  return length ? `${length} found` : "Nothing found";
}

function colourOf({ index }, model) {
  return classColour(index, model?.labels?.[index]);
}

/** How many pixels of the picture one of the screen is. */
function pixelsOfPicture(overlay, width, height) {
  const { width: across, height: down } = overlay.getBoundingClientRect();
  return across && down ? Math.max(width / across, height / down) : 1;
}

function row({ label, score }, colour) {
  const swatch = element("i", { "aria-hidden": "true" });
  swatch.style.background = colour;
  const bar = element("i");
  bar.style.transform = `scaleX(${score})`;
  return element(
    "li",
    { tabindex: 0 },
    element("span", { class: "name", title: label }, swatch, label),
    element("span", { class: "bar", "aria-hidden": "true" }, bar),
    element("span", { class: "score" }, percent(score)),
  );
}

function box({ label, score, box: [left, top, right, bottom] }, colour, width, perPx) {
  const sides = { x: left, y: top, width: right - left, height: bottom - top };
  const size = TAG_PX * perPx;
  const height = size * 1.5;
  const at = { x: left, y: top >= height ? top - height : top };
  const made = shape(
    "g",
    { class: "box" },
    shape("rect", { class: "casing", ...sides }),
    shape("rect", { class: "line", ...sides }),
    shape(
      "g",
      { class: "tag", "data-room": width },
      shape("rect", { ...at, height, rx: 3 * perPx }),
      shape("text", { x: at.x + size * 0.4, y: at.y + height / 2, "font-size": size }, label),
      shape("title", {}, `${label}, ${percent(score)}`),
    ),
    shape("title", {}, `${label}, ${percent(score)}`),
  );
  made.style.setProperty("--colour", colour);
  made.style.setProperty("--on-colour", inkOn(colour));
  return made;
}

/** Only what is on the page has a width. Tags that would leave the picture move to the left. */
function fitTags(boxes, perPx) {
  for (const tag of boxes.map((each) => each.querySelector(".tag"))) {
    const [ground, text] = tag.children;
    const width = text.getComputedTextLength() + 0.8 * TAG_PX * perPx;
    const beyond = Number(ground.getAttribute("x")) + width - Number(tag.dataset.room);
    if (beyond > 0) tag.setAttribute("transform", `translate(${-beyond} 0)`);
    ground.setAttribute("width", width);
  }
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

/** A row and its box are marked together. */
function join(row, box, overlay) {
  const mark = (is) => {
    for (const part of [row, box]) part.classList.toggle("marked", is);
    overlay.classList.toggle("has-marked", is);
  };
  for (const part of [row, box]) {
    part.addEventListener("pointerenter", () => mark(true));
    part.addEventListener("pointerleave", () => mark(false));
  }
  row.addEventListener("focus", () => mark(true));
  row.addEventListener("blur", () => mark(false));
}
