/** A strip of scenes to begin with. */

import { element } from "./dom.js";
import { pictureOfSample } from "./picture.js";

const FOLDER = "web/samples/";

export class Samples {
  #buttons = [];

  constructor(place, take) {
    this.place = place;
    this.take = take;
  }

  async open() {
    const response = await fetch(new URL(`${FOLDER}index.json`, document.baseURI));
    this.place.append(...(await response.json()).map((sample) => this.#item(sample)));
  }

  /** None is chosen any more: the picture comes from elsewhere. */
  clear() {
    this.#mark(null);
  }

  #item(sample) {
    const button = element(
      "button",
      { type: "button", "aria-pressed": "false", title: sample.title },
      element("img", {
        src: FOLDER + sample.file,
        alt: `Sample: ${sample.title}`,
        width: 512,
        height: 512,
      }),
    );
    button.addEventListener("click", async () => {
      const picture = await pictureOfSample(sample);
      this.#mark(button);
      this.take(picture);
    });
    this.#buttons.push(button);
    return element("li", {}, button);
  }

  #mark(chosen) {
    for (const button of this.#buttons) button.setAttribute("aria-pressed", button === chosen);
  }
}
