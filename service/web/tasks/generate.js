/** /generate: a prompt, and the picture as it comes to be. It needs no image, and has a room of its
 *  own in the place of the bench. */

import { Studio } from "../scripts/studio.js";

export const generate = {
  name: "generate",
  title: "Generate",
  summary: "Paints what you say.",
  studio: (place, hooks) => new Studio(place, hooks),
};
