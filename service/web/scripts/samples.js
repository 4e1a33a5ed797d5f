/** The strip of scenes to begin with. */

import { pictureFrom } from "./picture.js";

export class Samples {
  #buttons;
  #chosen = null;

  /** `take(picture)` when one is chosen and here; `fail(problem, again)` when it cannot be had. */
  constructor(place, { take, fail }) {
    this.take = take;
    this.fail = fail;
    this.#buttons = [...place.querySelectorAll("button")];
    for (const button of this.#buttons) button.addEventListener("click", () => this.#choose(button));
  }

  /** Show those of one kind; of no kind in particular, all. */
  offer(kind) {
    for (const button of this.#buttons) {
      const item = button.closest("li");
      item.hidden = kind !== undefined && item.dataset.kind !== kind;
    }
  }

  /** None is chosen any more: the picture comes from elsewhere. */
  clear() {
    this.#mark(null);
  }

  async #choose(button) {
    this.#mark(button);
    try {
      const picture = await pictureFrom(button.querySelector("img").src);
      if (this.#chosen === button) this.take(picture);
      else picture.release();
    } catch (problem) {
      this.fail(problem, () => this.#choose(button));
    }
  }

  #mark(chosen) {
    this.#chosen = chosen;
    for (const button of this.#buttons) button.setAttribute("aria-pressed", button === chosen);
  }
}
