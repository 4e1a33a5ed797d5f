/** The strip of scenes to begin with. */

import { element } from "./dom.js";
import { percent } from "./format.js";
import { pictureFrom } from "./picture.js";

export class Samples {
  #place;
  #buttons;
  #chosen = null;

  /** `take(picture)` when one is chosen and here; `fail(problem, again)` when it cannot be had. */
  constructor(place, { take, fail }) {
    this.take = take;
    this.fail = fail;
    this.#place = place;
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

  /** All of them, of every kind: { name, source }. */
  get all() {
    return this.#buttons.map((button) => {
      return { name: button.title, source: button.querySelector("img").src };
    });
  }

  /** Show each one's share, the largest first; without shares, all as they were. */
  sort(shares = null) {
    const order = this.#buttons.map((_, index) => index);
    if (shares) order.sort((one, other) => shares[other] - shares[one]);
    this.#buttons.forEach((button, index) => {
      button.querySelector(".share")?.remove();
      if (shares) button.append(shareOf(shares[index]));
    });
    this.#place.append(...order.map((index) => this.#buttons[index].closest("li")));
    return order;
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

function shareOf(share) {
  const bar = element("i");
  bar.style.transform = `scaleX(${share})`;
  return element("span", { class: "share", "aria-hidden": "true" }, bar, percent(share));
}
