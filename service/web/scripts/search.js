/** The samples, sorted by a sentence: their vectors are asked for once, the sentence's each time. */

import { pausing } from "./pausing.js";
import { address, reach } from "./server.js";

export class Search {
  #samples;
  #model;
  #vectors = new Map(); // of all samples, as promised, by model
  #asked = new AbortController();

  /** `model()` is the one that is asked. */
  constructor({ form, input, said }, samples, model) {
    Object.assign(this, { form, input, said });
    this.#samples = samples;
    this.#model = model;
    const pause = pausing(() => this.search());
    input.addEventListener("input", () => pause());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      pause(false);
      this.search();
    });
  }

  /** Whether a person may search now. */
  offer(is) {
    if (this.form.hidden !== is) return;
    this.form.hidden = !is;
    this.search();
  }

  /** The sentence of now; of none, the samples as they were. */
  async search() {
    this.#asked.abort();
    const { signal } = (this.#asked = new AbortController());
    const sentence = this.input.value.trim();
    if (!sentence || this.form.hidden) {
      this.said.textContent = "";
      this.#samples.sort();
      return;
    }
    try {
      const model = this.#model();
      const [scenes, [text]] = await Promise.all([
        this.#scenes(model),
        embed(model, [["text", sentence]], signal),
      ]);
      if (signal.aborted) return;
      const [first] = this.#samples.sort(likeness(scenes, text, model.defaults.logit_scale));
      this.said.textContent = `Likest: ${this.#samples.all[first].name}`;
    } catch (error) {
      if (!signal.aborted) this.said.textContent = error.detail || error.message;
    }
  }

  #scenes(model) {
    if (!this.#vectors.has(model.digest)) {
      const asked = embedAll(model, this.#samples.all);
      this.#vectors.set(model.digest, asked);
      asked.catch(() => this.#vectors.delete(model.digest)); // another time, then
    }
    return this.#vectors.get(model.digest);
  }
}

async function embedAll(model, samples) {
  const files = samples.map(async ({ name, source }) => [
    "image",
    await (await reach(source)).blob(),
    name,
  ]);
  return embed(model, await Promise.all(files));
}

/** A vector for every field. */
async function embed(model, fields, signal) {
  const body = new FormData();
  for (const field of fields) body.append(...field);
  const response = await reach(address("embed", { model: model.ref }), {
    method: "POST",
    body,
    signal,
  });
  return (await response.json()).embeddings.map(({ embedding }) => embedding);
}

/** What /rank would say: the softmax of the scaled cosines. */
function likeness(scenes, text, scale) {
  const logits = scenes.map((scene) => scale * scene.reduce((sum, x, at) => sum + x * text[at], 0));
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const total = powers.reduce((sum, power) => sum + power);
  return powers.map((power) => power / total);
}
