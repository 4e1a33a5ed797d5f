/** The strip of scenes to begin with. */

import { pictureFrom } from "./picture.js";

export class Samples {
  #buttons;

  constructor(place, take) {
    this.#buttons = [...place.querySelectorAll("button")];
    for (const button of this.#buttons) {
      button.addEventListener("click", async () => {
        const picture = await pictureFrom(button.querySelector("img").src);
        this.#mark(button);
        take(picture);
      });
    }
  }

  /** None is chosen any more: the picture comes from elsewhere. */
  clear() {
    this.#mark(null);
  }

  #mark(chosen) {
    for (const button of this.#buttons) button.setAttribute("aria-pressed", button === chosen);
  }
}
