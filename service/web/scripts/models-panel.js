/** What this server runs, how good it is and what it costs; and what it does not run, and why. */

import { element } from "./dom.js";

const TALLEST_PX = 26;

export function showModels(place, models, problems) {
  place.replaceChildren(
    element("ul", {}, models.map(row)),
    element("ul", { class: "problems" }, problems.map((problem) => element("li", {}, problem))),
    models.length ? "" : "No model is here yet.",
  );
}

function row(model) {
  return element(
    "li",
    { class: "model" },
    element(
      "div",
      {},
      element(
        "h3",
        {},
        model.ref,
        model.task && element("span", { class: "tag" }, model.task),
        model.default && element("span", { class: "tag" }, "default"),
      ),
      element("p", { class: "summary" }, model.summary ?? ""),
    ),
    element(
      "dl",
      {},
      cell("State", element("span", { class: "state", "data-state": model.state }, model.state)),
      ...(model.lanes ? figures(model) : [reason(model)]),
    ),
  );
}

function reason(model) {
  return model.reason && element("div", { class: "reason" }, element("dt", {}, "Reason"), element("dd", {}, model.reason));
}

function figures(model) {
  return [
    cell("Quality", ...quality(model)),
    cell("Takes", ...input(model)),
    ...Object.values(model.lanes).map((lane) => cell("Milliseconds a batch", costs(lane.cost_ms))),
  ];
}

function cell(title, ...content) {
  return element("div", {}, element("dt", {}, title), element("dd", {}, ...content));
}

function quality({ quality = [] }) {
  if (!quality.length) return ["not measured"];
  return quality
    .slice(0, 3)
    .map(({ metric, value, data }) => [`${metric} ${Number(value.toPrecision(4))}`, element("small", {}, data)])
    .flat();
}

function input({ fit, graphs = {}, licence }) {
  const precisions = [...new Set(Object.values(graphs).map((graph) => graph.precision))].join(", ");
  return [
    fit ? `${fit.width} × ${fit.height}, ${fit.mode}` : "text",
    element("small", {}, [precisions, licence].filter(Boolean).join(", ")),
  ];
}

/** A bar for each batch size that was measured. */
function costs(costMs) {
  const points = Object.entries(costMs).map(([batch, ms]) => [Number(batch), ms]);
  const most = Math.max(...points.map(([, ms]) => ms));
  return element(
    "ul",
    { class: "costs" },
    points.sort(([a], [b]) => a - b).map(([batch, ms]) => {
      const bar = element("i", {});
      bar.style.height = `${Math.max(1, (TALLEST_PX * ms) / most)}px`;
      return element("li", {}, Number(ms.toPrecision(2)).toString(), bar, element("span", {}, `× ${batch}`));
    }),
  );
}
