/** What is to be painted: the prompt, and everything beside it that a person may choose. */

import { element } from "./dom.js";

const SAMPLERS = ["ddim", "euler", "dpm++", "ddpm"];
/** What the server does where a model has nothing of its own to say. */
const USUAL = { steps: 20, guidance_scale: 5, sampler: "ddim", max_steps: 150 };
/** Sentences of the kind that the starter has learnt. */
const IDEAS = [
  "a yellow cone to the left of a blue cylinder",
  "two blue capsules in front of a yellow cube",
  "three purple balls",
  "a cyan torus to the left of an orange pyramid, with a red ball",
];

export class OrderForm {
  #models = [];
  #made; // for which model the form was made last

  /** `paint()` when a person asks for a picture, `cancel()` when they want none any more, `changed()`
   *  when they changed their mind about something. */
  constructor({ paint, cancel, changed }) {
    this.prompt = element("textarea", {
      ...{ name: "prompt", rows: 3, required: true, maxlength: 4096, spellcheck: "true" },
      onkeydown: (event) => this.#paintOnEnter(event),
    });
    this.prompt.value = IDEAS[0];
    this.negative = element("input", { name: "negative_prompt", type: "text", maxlength: 4096 });
    this.model = element("select", { name: "model", onchange: () => this.#useModel() });
    this.steps = slider("steps", 1, 50, 1);
    this.guidance = slider("guidance_scale", 0, 15, 0.5);
    this.sampler = element("select", { name: "sampler" });
    this.seed = element("input", {
      ...{ name: "seed", type: "number", min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
      placeholder: "drawn anew",
    });
    this.button = element("button", { class: "primary", type: "submit" }, "Paint");
    this.stop = element("button", { type: "button", disabled: true, onclick: cancel }, "Cancel");
    this.form = this.#build();
    this.form.addEventListener("input", changed);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      paint();
    });
    this.changed = changed;
  }

  /** `models` can paint, the default first. A choice that is still possible stays. */
  offer(models) {
    const before = this.model.value;
    this.#models = models;
    this.model.replaceChildren(
      ...models.map((model) => {
        const title = model.default ? `${model.ref} (default)` : model.ref;
        return element("option", { value: model.ref, selected: model.ref === before }, title);
      }),
    );
    if (this.chosen.ref !== this.#made) this.#useModel();
  }

  get chosen() {
    return this.#models.find((model) => model.ref === this.model.value);
  }

  /** The body for POST /generate: what the model does anyway is left out. */
  get order() {
    const defaults = this.#usual;
    const order = { prompt: this.prompt.value.trim() };
    if (this.negative.value.trim()) order.negative_prompt = this.negative.value.trim();
    if (Number(this.steps.value) !== defaults.steps) order.steps = Number(this.steps.value);
    if (Number(this.guidance.value) !== defaults.guidance_scale) {
      order.guidance_scale = Number(this.guidance.value);
    }
    if (this.sampler.value !== defaults.sampler) order.sampler = this.sampler.value;
    if (this.seed.value !== "") order.seed = Number(this.seed.value);
    if (!this.chosen.default) order.model = this.chosen.ref;
    return order;
  }

  /** How many steps the picture will have. */
  get stepCount() {
    return Number(this.steps.value);
  }

  get valid() {
    return this.form.checkValidity() && this.prompt.value.trim() !== "";
  }

  /** Fill the form with what a picture was painted with. */
  take(parameters) {
    this.prompt.value = parameters.prompt;
    this.negative.value = parameters.negative_prompt ?? "";
    if (this.#models.some(({ ref }) => ref === parameters.model)) {
      this.model.value = parameters.model;
      this.#useModel();
    }
    this.steps.value = parameters.steps;
    this.guidance.value = parameters.guidance_scale;
    this.sampler.value = parameters.sampler;
    this.seed.value = parameters.seed;
    this.#showSliders();
    this.changed();
  }

  busy(is) {
    this.stop.disabled = !is;
    this.button.replaceChildren(is ? "Paint anew" : "Paint");
  }

  get #usual() {
    return { ...USUAL, ...this.chosen.defaults };
  }

  #paintOnEnter(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  #roll() {
    const [seed] = crypto.getRandomValues(new Uint32Array(1));
    this.seed.value = seed;
    this.changed();
  }

  #useModel() {
    const defaults = this.#usual;
    this.#made = this.chosen.ref;
    this.steps.max = Math.min(defaults.max_steps, USUAL.max_steps);
    this.steps.value = defaults.steps;
    this.guidance.value = defaults.guidance_scale;
    this.sampler.replaceChildren(
      ...SAMPLERS.map((name) => element("option", { selected: name === defaults.sampler }, name)),
    );
    this.#showSliders();
    this.changed?.();
  }

  #showSliders() {
    for (const input of [this.steps, this.guidance]) input.dispatchEvent(new Event("input"));
  }

  #build() {
    const die = element(
      "button",
      { type: "button", class: "die", title: "Roll a seed", onclick: () => this.#roll() },
      "⚄",
      element("span", { class: "visually-hidden" }, "Roll a seed"),
    );
    return element(
      "form",
      { class: "order", "aria-label": "What to paint" },
      element("label", { class: "whole" }, "Prompt", this.prompt),
      element("ul", { class: "ideas whole", "aria-label": "Prompts to begin with" }, this.#ideas()),
      element("label", { class: "whole" }, "Keep away from", this.negative),
      element("label", {}, "Model", this.model),
      element("label", {}, "Sampler", this.sampler),
      element("label", {}, "Steps", withValue(this.steps, 0)),
      element("label", {}, "Guidance", withValue(this.guidance, 1)),
      element("label", {}, "Seed", element("span", { class: "seed" }, this.seed, die)),
      element("div", { class: "acts" }, this.button, this.stop),
    );
  }

  #ideas() {
    return IDEAS.map((idea) =>
      element(
        "li",
        {},
        element(
          "button",
          {
            type: "button",
            onclick: () => {
              this.prompt.value = idea;
              this.form.requestSubmit();
            },
          },
          idea,
        ),
      ),
    );
  }
}

function slider(name, min, max, step) {
  return element("input", { type: "range", name, min, max, step });
}

/** A slider beside its number. */
function withValue(input, digits) {
  const output = element("output", { "aria-hidden": "true" });
  input.addEventListener("input", () => (output.textContent = Number(input.value).toFixed(digits)));
  return element("span", { class: "slider" }, input, output);
}
