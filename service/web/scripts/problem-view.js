/** A problem, readable: what, why, under which request id, and what can be done. */

import { element } from "./dom.js";
import { Problem } from "./server.js";

export function showProblem(place, error, again) {
  const problem = error instanceof Problem ? error : mistake(error);
  place.replaceChildren(
    element(
      "div",
      { class: "problem" },
      element("h3", {}, problem.title),
      problem.detail && element("p", {}, sentence(problem.detail)),
      problem.retryAfterS > 0 && element("p", {}, `There should be room in ${problem.retryAfterS} s.`),
      problem.requestId &&
        element(
          "p",
          { class: "trace" },
          `Status ${problem.status}, request `,
          element("code", {}, problem.requestId),
        ),
      mayPass(problem) && element("button", { type: "button", onclick: again }, "Try again"),
    ),
  );
}

/** Nothing that the server told: this page itself went wrong. */
function mistake(error) {
  console.error(error);
  return new Problem({ title: "This page cannot show the answer", detail: String(error) });
}

/** Whether the same request could do better later. */
function mayPass(problem) {
  return problem.status === 0 || problem.status === 429 || problem.status >= 500;
}

function sentence(text) {
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text.charAt(0).toUpperCase() + text.slice(1) + end;
}
