/** Where the time went: the server's own phases within the round trip that this page measured. */

import { element } from "./dom.js";
import { milliseconds } from "./format.js";

const PHASES = [
  ["queue", "Queue", "Waiting for the device"],
  ["decode", "Decode", "Bytes to pixels, pixels to the model's input"],
  ["run", "Run", "The model itself"],
  ["render", "Render", "The model's output to the answer"],
  ["elsewhere", "Elsewhere", "Network, HTTP and browser"],
];

/** `queue;dur=0.3, batch;desc="2"` as { queue: 0.3, batch: "2" }. */
export function parseServerTiming(header) {
  const found = {};
  for (const [, name, key, quoted, plain] of header.matchAll(
    /([\w-]+)\s*;\s*(dur|desc)=(?:"([^"]*)"|([^,;\s]+))/g,
  )) {
    const value = quoted ?? plain;
    found[name] = key === "dur" ? Number(value) : value;
  }
  return found;
}

export class TimingBar {
  #bars = {};
  #values = {};

  constructor(place, total) {
    this.total = total;
    this.bar = element("div", { class: "phases" });
    const legend = element("ul", { class: "legend" });
    for (const [phase, title, meaning] of PHASES) {
      this.#bars[phase] = element("i", { class: phase, hidden: true });
      this.#values[phase] = element("b", {}, "–");
      this.bar.append(this.#bars[phase]);
      legend.append(element("li", { class: phase, title: meaning }, title, this.#values[phase]));
    }
    place.append(this.bar, legend);
  }

  show(timing, roundTripMs) {
    const known = PHASES.slice(0, -1).map(([phase]) => timing[phase] ?? 0);
    const elsewhere = Math.max(0, roundTripMs - known.reduce((sum, ms) => sum + ms, 0));
    [...known, elsewhere].forEach((ms, index) => {
      const phase = PHASES[index][0];
      this.#bars[phase].hidden = ms === 0;
      this.#bars[phase].style.flexGrow = ms;
      this.#values[phase].textContent = milliseconds(ms);
    });
    this.total.textContent = `${milliseconds(roundTripMs)} round trip`;
  }

  clear() {
    for (const [phase] of PHASES) {
      this.#bars[phase].hidden = true;
      this.#values[phase].textContent = "–";
    }
    this.total.textContent = "–";
  }
}
