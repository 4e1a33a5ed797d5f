/** /segment: every region in its colour over the picture, named where it has room or is pointed at. */

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
import { readMasks, traceMasks } from "../scripts/masks.js";
import { classColour, shade } from "../scripts/palette.js";

let opacity = 0.5;

export const segment = {
  name: "segment",
  title: "Segment",
  summary: "Says what every pixel belongs to.",
  samples: "scenes",

  options: [
    {
      name: "mode",
      title: "Regions",
      choices: [
        ["panoptic", "Things and stuff"],
        ["instance", "Things alone"],
        ["semantic", "By label"],
      ],
    },
    {
      name: "score_threshold",
      title: "Score above",
      least: 0,
      most: () => 1,
      step: 0.05,
      usual: (model) => model?.defaults?.score_threshold ?? 0.5,
    },
  ],

  draw({ result, overlay, model }, answer) {
    const { width, height, segments } = answer;
    const traced = traceMasks(readMasks(segments, width, height));
    const colours = coloursOf(segments, model);
    const perPx = pixelsOfPicture(overlay, width, height);
    const regions = segments.map((one, at) =>
      region(one, traced.get(one.id), colours[at], width, perPx),
    );
    const shares = segments.map(({ score, area }) => score ?? area / (width * height));
    const rows = segments.map(({ label }, at) =>
      markRow(label, shares[at], percent(shares[at]), colours[at]),
    );
    regions.forEach((_, at) => markTogether(rows[at], regions[at], overlay));
    overlay.classList.remove("has-marked");
    overlay.append(...regions);
    fitTags(regions, perPx);
    segments.forEach(({ id }, at) => settle(regions[at], traced.get(id)?.room, width));
    const slider = opacitySlider(overlay);
    result.replaceChildren(
      element(
        "p",
        { class: "headline" },
        element("span", {}, count(segments)),
      ),
      element(
        "div",
        { class: "segment-tools" },
        element("label", {}, "Colours", slider),
        element("p", {}, answer.mode === "semantic" ? "Share of the picture" : "Score"),
      ),
      element("ol", { class: "scores found" }, largestFirst(rows, shares)),
    );
  },

  say({ segments }) {
    return counted(segments.map(({ label }) => label)) || "Nothing found";
  },
};

function count({ length }) {
  if (!length) return "Nothing found";
  return length > 1 ? `${length} segments` : "1 segment";
}

function largestFirst(rows, shares) {
  const places = rows.map((_, at) => at).sort((one, other) => shares[other] - shares[one]);
  return places.map((at) => rows[at]);
}

/** The label's, and of several things of one label a shade each. */
function coloursOf(segments, model) {
  const turns = new Map();
  return segments.map(({ index }) => {
    const turn = turns.get(index) ?? 0;
    turns.set(index, turn + 1);
    return shade(classColour(index, model?.labels?.[index]), turn);
  });
}

/** What a large picture lost to thinning has no path, and its row stands alone. */
function region({ id, label, score, is_thing: isThing }, trace, colour, width, perPx) {
  const { path = "", room = {} } = trace ?? {};
  const said = score === null ? label : `${label} ${percent(score)}`;
  const made = shape(
    "g",
    { class: isThing ? "region thing" : "region", "data-id": id },
    shape("path", { d: path, "fill-rule": "evenodd" }),
    nameTag(said, [room.x ?? 0, room.y ?? 0], width, perPx),
  );
  colourMark(made, colour);
  return made;
}

/** Where there is room for it a tag stands in the middle, else it waits to be pointed at. */
function settle(made, room, pictureWidth) {
  const tag = made.querySelector(".tag");
  if (!room?.width) {
    tag.remove();
    return;
  }
  const [x, y, width, height] = ["x", "y", "width", "height"].map((side) =>
    Number(tag.firstChild.getAttribute(side)),
  );
  const left = Math.min(Math.max(0, room.x - width / 2), pictureWidth - width);
  tag.setAttribute("transform", `translate(${left - x} ${Math.max(0, room.y - height / 2) - y})`);
  tag.classList.toggle("cramped", width > room.width);
}

function opacitySlider(overlay) {
  const set = () => overlay.style.setProperty("--opacity", opacity);
  set();
  return element("input", {
    ...{ type: "range", min: 0, max: 1, step: 0.05, value: opacity },
    oninput: ({ target }) => {
      opacity = Number(target.value);
      set();
    },
  });
}
