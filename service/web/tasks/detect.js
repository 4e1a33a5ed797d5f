/** /detect: a box around each thing, cut off by score as the slider moves, and a list of them. */

import { element, shape } from "../scripts/dom.js";
import { counted, percent } from "../scripts/format.js";
import {
  colourMark,
  fitTags,
  markRow,
  markTogether,
  nameTag,
  pixelsOfPicture,
} from "../scripts/marks.js";
import { classColour } from "../scripts/palette.js";

const ASKED_SCORE = 0.05;

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
    const rows = detections.map((found) =>
      markRow(found.label, found.score, percent(found.score), colourOf(found, model)),
    );
    const perPx = pixelsOfPicture(overlay, width, height);
    const boxes = detections.map((found) => box(found, colourOf(found, model), width, perPx));
    detections.forEach((_, index) => markTogether(rows[index], boxes[index], overlay));
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
    return counted(detections.map(({ label }) => label)) || "Nothing found";
  },
};

function count({ length }) {
  return length ? `${length} found` : "Nothing found";
}

function colourOf({ index }, model) {
  return classColour(index, model?.labels?.[index]);
}

function box({ label, score, box: [left, top, right, bottom] }, colour, width, perPx) {
  const sides = { x: left, y: top, width: right - left, height: bottom - top };
  const said = `${label}, ${percent(score)}`;
  const made = shape(
    "g",
    { class: "box" },
    shape("rect", { class: "casing", ...sides }),
    shape("rect", { class: "line", ...sides }),
    nameTag(label, [left, top], width, perPx, shape("title", {}, said)),
    shape("title", {}, said),
  );
  colourMark(made, colour);
  return made;
}
