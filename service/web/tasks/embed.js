/** /classify by words that a person types, and the samples sorted by a sentence. */

import { classify } from "./classify.js";

const FIRST_WORDS =
  "red ball, orange cube, yellow capsule, green torus, " +
  "cyan pyramid, blue cone, purple prism, white cylinder";

export const embed = {
  name: "embed",
  path: "classify",
  title: "Words",
  summary: "Names what is in an image, by words of yours.",
  searches: true,

  options: [
    {
      name: "labels",
      title: "Words to choose from, with commas between",
      usual: () => FIRST_WORDS,
      tidy: (text) => [...new Set(words(text))].join(","),
    },
    {
      name: "template",
      title: "Read as",
      hint: (model) => model?.defaults?.template ?? "a photo of a {}",
      pattern: ".*\\{\\}.*",
      tidy: (text) => text.trim(),
    },
  ],

  draw: classify.draw,
  say: classify.say,
};

function words(text) {
  return text.split(",").map((word) => word.trim()).filter(Boolean);
}
