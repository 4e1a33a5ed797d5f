/** Which model is asked, and with which options: a form made from what the task declares. */

import { element } from "./dom.js";

export class Controls {
  #task;
  #models = [];
  #select;
  #inputs = [];

  /** `changed()` is called when a person changed something. */
  constructor(form, changed) {
    this.form = form;
    this.changed = changed;
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

  /** What belongs in the query: only what differs from what the server does anyway. */
  get options() {
    const chosen = {};
    if (this.model && !this.model.default) chosen.model = this.model.ref;
    for (const { option, input } of this.#inputs) {
      const usual = option.usual(this.model);
      if (input.value !== "" && Number(input.value) !== usual) chosen[option.name] = input.value;
    }
    return chosen;
  }

  #modelChanged() {
    this.#build();
    this.#select.focus();
    this.changed();
  }

  #build() {
    this.#inputs = this.#task.options.map((option) => ({ option, input: this.#input(option) }));
    this.form.replaceChildren(
      element("label", {}, "Model", this.#select),
      ...this.#inputs.map(({ option, input }) => element("label", {}, option.title, input)),
    );
  }

  #input(option) {
    return element("input", {
      type: "number",
      name: option.name,
      min: option.least,
      max: option.most(this.model),
      step: option.step,
      value: option.usual(this.model),
      oninput: (event) => event.target.validity.valid && this.changed(),
    });
  }
}

function sameRefs(some, others) {
  const refs = (models) => models.map((model) => `${model.ref} ${model.default}`).join();
  return refs(some) === refs(others);
}
