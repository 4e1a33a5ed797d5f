/** /classify: the likeliest label in large, and each label with its bar. */

import { element } from "../scripts/dom.js";
import { percent } from "../scripts/format.js";

export const classify = {
  name: "classify",
  title: "Classify",
  summary: "Names what is in an image.",
  samples: "close-ups",

  options: [
    {
      name: "top_k",
      title: "Labels shown",
      least: 1,
      most: (model) => model?.labels?.length || 1000,
      step: 1,
      usual: (model) => Math.min(model?.defaults?.top_k ?? 5, model?.labels?.length || 5),
    },
  ],

  /** Rows stay from one answer to the next, so that their bars move instead of jumping. */
  draw({ result, model }, { predictions }) {
    const [best] = predictions;
    const colours = new Map((model?.labels ?? []).map((label) => [label.name, label.colour]));
    const list = result.querySelector(".scores") ?? element("ol", { class: "scores" });
    while (list.children.length < predictions.length) list.append(newRow());
    while (list.children.length > predictions.length) list.lastChild.remove();
    predictions.forEach((prediction, index) => {
      fillRow(list.children[index], prediction, colours.get(prediction.label));
    });
    result.replaceChildren(
      element(
        "p",
        { class: "headline" },
        element("span", {}, best.label),
        element("span", {}, percent(best.score)),
      ),
      list,
    );
    list.getBoundingClientRect(); // new bars start from nothing, seen once before they grow
    predictions.forEach(({ score }, index) => {
      list.children[index].querySelector(".bar i").style.transform = `scaleX(${score})`;
    });
  },

  say({ predictions: [best] }) {
    return `${best.label}, ${percent(best.score)}`;
  },
};

function newRow() {
  return element(
    "li",
    {},
    element("span", { class: "name" }),
    element("span", { class: "bar", "aria-hidden": "true" }, element("i")),
    element("span", { class: "score" }),
  );
}

function fillRow(row, { label, score }, colour) {
  const swatch = colour && element("i", { "aria-hidden": "true" });
  if (swatch) swatch.style.background = colour;
  const name = row.querySelector(".name");
  name.replaceChildren(...(swatch ? [swatch, label] : [label]));
  name.title = label;
  row.querySelector(".score").textContent = percent(score);
}
