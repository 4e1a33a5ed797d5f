/** What this server runs, how good it is and what it costs; and what it does not run, and why. */

import { element } from "./dom.js";

const TALLEST_PX = 26;

const opened = new Set(); // models of which every figure is shown

export function showModels(place, models, problems) {
  if (place.contains(document.activeElement)) return; // nobody loses their place in it
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
    cell("Milliseconds a batch", ...lanes(Object.entries(model.lanes))),
  ];
}

/** Of several graphs each with its name. */
function lanes(all) {
  return all.map(([role, lane]) => [
    all.length > 1 && element("small", {}, role),
    costs(lane.cost_ms),
  ]);
}

function cell(title, ...content) {
  return element("div", {}, element("dt", {}, title), element("dd", {}, content));
}

/** The first figure as it was last measured, nearest to what is served; the others on demand. */
function quality({ ref, quality = [] }) {
  if (!quality.length) return ["not measured"];
  const main = quality.findLast(({ metric }) => metric === quality[0].metric);
  return [
    figure(main),
    element("small", {}, main.data),
    quality.length > 1 && everyFigure(ref, quality),
  ];
}

function everyFigure(ref, quality) {
  const sets = Map.groupBy(quality, ({ data }) => data);
  return element(
    "details",
    { "data-ref": ref, open: opened.has(ref), ontoggle: remember },
    element("summary", {}, `All ${quality.length} figures`),
    [...sets].map(([data, measured]) => [
      element("ul", {}, measured.map((one) => element("li", {}, figure(one)))),
      element("small", {}, data),
    ]),
  );
}

/** What a person opened stays open when the panel is made anew. */
function remember({ target }) {
  if (target.open) opened.add(target.dataset.ref);
  else opened.delete(target.dataset.ref);
}

function figure({ metric, value }) {
  const tiny = value !== 0 && Math.abs(value) < 0.001;
  return `${metric} ${tiny ? value.toExponential(1) : value.toFixed(3)}`;
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
