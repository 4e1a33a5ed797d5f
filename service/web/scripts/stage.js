/** The stage: the picture, and over it a drawing in the picture's own pixels. */

import { element } from "./dom.js";
import { bytes } from "./format.js";

export class Stage {
  constructor({ stage, picture, overlay, facts }) {
    this.stage = stage;
    this.image = picture;
    this.overlay = overlay;
    this.facts = facts;
  }

  show(picture) {
    this.clearOverlay();
    this.stage.classList.add("filled");
    this.image.alt = picture.name;
    this.#tell(picture, bytes(picture.blob.size));
    this.image.onload = () => {
      this.#blind(false);
      const { naturalWidth: width, naturalHeight: height } = this.image;
      this.#tell(picture, `${width} × ${height}, ${bytes(picture.blob.size)}`);
    };
    // The server may read what this browser cannot.
    this.image.onerror = () => {
      this.#blind(true);
      this.#tell(picture, `${bytes(picture.blob.size)}, cannot be shown here`);
    };
    this.image.src = picture.url;
  }

  busy(is) {
    this.stage.classList.toggle("busy", is);
  }

  /** The overlay takes coordinates of an image of this size, wherever the picture lies. */
  measure(width, height) {
    this.overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
  }

  clearOverlay() {
    this.overlay.replaceChildren();
  }

  #blind(is) {
    this.image.hidden = is;
    this.stage.classList.toggle("blind", is);
  }

  #tell(picture, text) {
    this.facts.replaceChildren(element("b", {}, picture.name), ` ${text}`);
  }
}
