/** Which model is asked, and with which options: a form made from what the task declares. */

import { element } from "./dom.js";
import { pausing } from "./pausing.js";

export class Controls {
  #task;
  #models = [];
  #select;
  #inputs = [];
  #typed = new Map(); // the words of text fields, which outlive the fields

  /** When a person changed something, `changed()` is called; `narrowed()` when that is for the page
   *  to tell. */
  constructor(form, { changed, narrowed }) {
    this.form = form;
    this.changed = changed;
    this.narrowed = narrowed;
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** `models` can do `task`, the default first. A choice that is still possible stays. */
  offer(task, models) {
    const same = task === this.#task && sameRefs(models, this.#models);
    this.#models = models;
    if (same) return;
    const before = this.model?.ref;
    this.#task = task;
    this.#select = element(
      "select",
      { name: "model", onchange: () => this.#modelChanged() },
      models.map((model) =>
        element(
          "option",
          { value: model.ref, selected: model.ref === before },
          model.default ? `${model.ref} (default)` : model.ref,
        ),
      ),
    );
    this.#build();
  }

  get model() {
    return this.#models.find((model) => model.ref === this.#select?.value);
  }

  /** What a person chose, for the query: only what differs from what the server does anyway, and
   *  what sliders say. */
  get options() {
    const chosen = {};
    if (this.model && !this.model.default) chosen.model = this.model.ref;
    for (const { option, input } of this.#inputs) {
      if (option.toggle) {
        if (input.checked) chosen[option.name] = true;
        continue;
      }
      if (option.choices) {
        if (input.value !== option.choices[0][0]) chosen[option.name] = input.value;
        continue;
      }
      if (option.tidy) {
        const text = option.tidy(input.value);
        if (text) chosen[option.name] = text;
        continue;
      }
      const differs = Number(input.value) !== option.usual(this.model);
      if (input.value !== "" && (differs || isSlider(option))) chosen[option.name] = input.value;
    }
    return chosen;
  }

  /** The same, with what the server is asked for in the place of what sliders say. */
  get asked() {
    const sliders = this.#inputs.filter(({ option }) => isSlider(option));
    const asked = sliders.map(({ option }) => [option.name, option.asked]);
    return { ...this.options, ...Object.fromEntries(asked) };
  }

  /** Every option that has a number. */
  get values() {
    return Object.fromEntries(
      this.#inputs.map(({ option, input }) => [
        option.name,
        Number(option.toggle ? input.checked : input.value),
      ]),
    );
  }

  #modelChanged() {
    this.#build();
    this.#select.focus();
    this.changed();
  }

  #build() {
    const offered = this.#task.options.filter(({ offered }) => offered?.(this.model) ?? true);
    this.#inputs = offered.map((option) => ({ option, input: this.#input(option) }));
    this.form.replaceChildren(
      element("label", {}, "Model", this.#select),
      ...this.#inputs.map(({ option, input }) =>
        element(
          "label",
          { class: option.tidy && "wide" },
          option.title,
          isSlider(option) ? withValue(input) : input,
        ),
      ),
    );
  }

  #input(option) {
    if (option.choices) {
      return element(
        "select",
        { name: option.name, onchange: () => this.changed() },
        option.choices.map(([value, title]) => element("option", { value }, title)),
      );
    }
    if (option.toggle) {
      return element("input", {
        type: "checkbox",
        name: option.name,
        onchange: () => this.changed(),
      });
    }
    if (option.tidy) return this.#field(option);
    const changed = isSlider(option) ? this.narrowed : this.changed;
    return element("input", {
      type: isSlider(option) ? "range" : "number",
      name: option.name,
      min: option.least,
      max: option.most(this.model),
      step: option.step,
      value: option.usual(this.model),
      oninput: (event) => event.target.validity.valid && changed(),
    });
  }

  /** Asked for while a person types, once they pause. */
  #field(option) {
    const pause = pausing(() => this.changed());
    return element("input", {
      ...{ type: "text", autocomplete: "off", spellcheck: "false", maxlength: 2000 },
      name: option.name,
      placeholder: option.hint?.(this.model),
      pattern: option.pattern,
      required: Boolean(option.usual),
      value: this.#typed.get(option.name) ?? option.usual?.(this.model) ?? "",
      oninput: ({ target }) => {
        this.#typed.set(option.name, target.value);
        const complete = target.validity.valid && (option.tidy(target.value) || !option.usual);
        pause(complete);
      },
    });
  }
}

function isSlider(option) {
  return option.asked !== undefined;
}

/** A slider beside its number. */
function withValue(slider) {
  const digits = Math.max(0, -Math.floor(Math.log10(Number(slider.step))));
  const shown = () => Number(slider.value).toFixed(digits);
  const output = element("output", { "aria-hidden": "true" }, shown());
  slider.addEventListener("input", () => (output.textContent = shown()));
  return element("span", { class: "slider" }, slider, output);
}

function sameRefs(some, others) {
  const refs = (models) => models.map((model) => `${model.ref} ${model.default}`).join();
  return refs(some) === refs(others);
}
