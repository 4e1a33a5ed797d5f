/** Where a picture comes to be: its previews, how far it is, and what was painted before. */

import { element } from "./dom.js";

const KEPT = 32; // pictures of this page, the newest first

export class Easel {
  #pictures = [];
  #shown = null;

  /** `recall(picture)` when a person wants to see one of the earlier pictures again. */
  constructor({ recall }) {
    this.recall = recall;
    this.image = element("img", { class: "stage-picture", alt: "", hidden: true });
    this.empty = element(
      "p",
      { class: "stage-empty", "aria-hidden": "true" },
      element("b", {}, "Nothing painted yet"),
      element("span", {}, "say what you want to see"),
    );
    this.stage = element("figure", { class: "stage easel" }, this.empty, this.image);
    this.progress = element("progress", { max: 1, value: 0, "aria-label": "Steps painted" });
    this.said = element("p", { class: "facts-line" });
    this.history = element("ul", { class: "samples gallery", "aria-label": "Painted on this page" });
    this.place = element(
      "section",
      { class: "look", "aria-label": "Picture" },
      this.stage,
      element("div", { class: "progress-line" }, this.progress, this.said),
      this.history,
    );
    this.rest();
  }

  /** A picture was begun. */
  begin() {
    this.progress.removeAttribute("value"); // how far it is nobody knows yet
    this.progress.hidden = false;
    this.say("Waiting for a place …");
  }

  queued({ predicted_ms: predicted, steps }) {
    this.progress.max = steps;
    this.progress.value = 0;
    this.say(`${steps} steps, about ${seconds(predicted)}`);
  }

  preview({ step, steps, image }) {
    this.progress.value = step;
    this.say(`Step ${step} of ${steps}`);
    if (!image) return;
    this.#show(`data:image/png;base64,${image}`, `After ${step} of ${steps} steps`);
    this.image.classList.add("preview");
  }

  /** { url, parameters, … }: the picture itself, which the gallery keeps. */
  done(picture) {
    this.#pictures.unshift(picture);
    for (const old of this.#pictures.splice(KEPT)) URL.revokeObjectURL(old.url);
    this.show(picture);
  }

  show(picture) {
    this.#shown = picture;
    this.#show(picture.url, picture.parameters.prompt);
    this.image.classList.remove("preview");
    this.rest();
    this.say(`${picture.parameters.size.replace("x", " × ")}, seed ${picture.parameters.seed}`);
    this.#showGallery();
  }

  /** Nothing is being painted; what was there before is shown again. */
  giveUp(said) {
    this.rest();
    if (this.#shown) this.show(this.#shown);
    else {
      this.image.hidden = true;
      this.stage.classList.remove("filled");
    }
    if (said) this.say(said);
  }

  rest() {
    this.progress.hidden = true;
  }

  say(text) {
    this.said.textContent = text;
  }

  #show(url, alt) {
    this.stage.classList.add("filled");
    Object.assign(this.image, { src: url, alt, hidden: false });
  }

  #showGallery() {
    this.history.replaceChildren(
      ...this.#pictures.map((picture) => {
        const { prompt, seed } = picture.parameters;
        return element(
          "li",
          {},
          element(
            "button",
            {
              ...{ type: "button", title: `${prompt}, seed ${seed}` },
              "aria-pressed": String(picture === this.#shown),
              onclick: () => this.recall(picture),
            },
            element("img", { src: picture.url, alt: `${prompt}, seed ${seed}` }),
          ),
        );
      }),
    );
  }
}

function seconds(ms) {
  if (ms < 1000) return `${Math.max(1, Math.round(ms))} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}
