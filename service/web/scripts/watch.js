/** Watches the server: whether it is ready, and which models it has. */

import { describeModel, listModels, readiness } from "./server.js";

const WHEN_READY_MS = 15_000;
const UNTIL_READY_MS = 1_000;

export class Watch {
  #timer;
  #looking = false;
  #described = new Map();

  /** `tell({ state, reason, models, problems })` after every look; models are null when unknown. */
  constructor(tell) {
    this.tell = tell;
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
  }

  /** Now, and from then on for as long as the page is seen. */
  async look() {
    if (this.#looking) return;
    this.#looking = true;
    clearTimeout(this.#timer);
    const seen = await readiness();
    const { models, problems } = await this.#models().catch(() => ({ models: null, problems: [] }));
    this.#looking = false;
    this.tell({ ...seen, models, problems });
    const pause = seen.state === "ready" ? WHEN_READY_MS : UNTIL_READY_MS;
    if (!document.hidden) this.#timer = setTimeout(() => this.look(), pause);
  }

  /** Every version with all that is known of it; manifests never change, so each is read once. */
  async #models() {
    const { models, problems } = await listModels();
    const unknown = models.filter((m) => m.digest && !this.#described.has(m.digest));
    for (const name of new Set(unknown.map((m) => m.name))) {
      for (const details of await describeModel(name)) this.#described.set(details.digest, details);
    }
    return {
      models: models.map((m) => ({
        ...this.#described.get(m.digest),
        ...m,
        ref: `${m.name}:${m.version}`,
      })),
      problems,
    };
  }
}
