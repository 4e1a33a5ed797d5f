/** The flow of painting: an order makes a question; its events are shown as they come. */

import { orderCommand } from "./command.js";
import { element } from "./dom.js";
import { Easel } from "./easel.js";
import { eventsOf } from "./event-stream.js";
import { milliseconds } from "./format.js";
import { showJson } from "./json-view.js";
import { OrderForm } from "./order-form.js";
import { showProblem } from "./problem-view.js";
import { address, Problem, reach } from "./server.js";
import { copyButton, download } from "./takeaway.js";
import { parseServerTiming, TimingBar } from "./timing.js";

const PREVIEWS_MOST = 24; // more than that nobody sees go by

export class Studio {
  #asked = new AbortController();
  #picture = null; // the one that is shown
  json = "";

  constructor(place, { onTrouble }) {
    this.onTrouble = onTrouble;
    this.form = new OrderForm({
      paint: () => this.paint(),
      cancel: () => this.cancel(),
      changed: () => this.#showCommand(),
    });
    this.easel = new Easel({ recall: (picture) => this.recall(picture) });
    place.append(this.easel.place, this.#build());
  }

  offer(models) {
    this.form.offer(models);
    this.#showCommand();
  }

  get command() {
    return orderCommand(this.form.order);
  }

  /** Whatever is under way is of no use any more: the server hears of it and frees its place. */
  async paint() {
    this.#asked.abort();
    if (!this.form.valid) {
      this.form.form.reportValidity();
      return;
    }
    const asked = (this.#asked = new AbortController());
    this.problem.replaceChildren();
    this.form.busy(true);
    this.easel.begin();
    this.#speak("Painting.");
    try {
      await this.#follow(this.form.order, asked.signal);
    } catch (error) {
      if (asked.signal.aborted) return;
      this.easel.giveUp("");
      showProblem(this.problem, error, () => this.paint());
      this.onTrouble();
    }
    if (asked === this.#asked) this.form.busy(false);
  }

  cancel() {
    this.#asked.abort();
    this.form.busy(false);
    this.easel.giveUp("Cancelled");
    this.#speak("Cancelled.");
  }

  /** Show an earlier picture, and fill the form with what it was painted with. */
  recall(picture) {
    this.cancel();
    this.#show(picture);
    this.form.take(picture.parameters);
  }

  async #follow(order, signal) {
    const started = performance.now();
    const every = Math.ceil(this.form.stepCount / PREVIEWS_MOST);
    const response = await reach(address("generate"), {
      method: "POST",
      body: JSON.stringify({ ...order, preview_every: every }),
      headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
      signal,
    });
    const requestId = response.headers.get("X-Request-Id") ?? "";
    const digest = response.headers.get("X-Model-Digest") ?? "";
    for await (const { name, data } of eventsOf(response)) {
      if (signal.aborted) return;
      if (name === "queued") this.easel.queued(data);
      else if (name === "preview") this.easel.preview(data);
      else if (name === "error") throw new Problem({ ...data, requestId });
      else if (name === "done") {
        const picture = pictureOf(data, { requestId, digest, tookMs: performance.now() - started });
        this.easel.done(picture);
        this.#show(picture);
        this.#speak(`Painted in ${milliseconds(picture.tookMs)}.`);
        return;
      }
    }
    throw new Problem({ title: "The answer ended too early", requestId });
  }

  #show(picture) {
    this.#picture = picture;
    this.problem.replaceChildren();
    this.easel.show(picture);
    this.timing.show(picture.timing, picture.tookMs);
    this.save.disabled = this.copyJson.disabled = false;
    this.json = JSON.stringify(picture.parameters, null, 2);
    showJson(this.jsonPlace, this.json);
    const facts = {
      Model: picture.parameters.model,
      Seed: picture.parameters.seed,
      Request: picture.requestId,
      Digest: picture.digest.slice(0, 12),
      Steps: picture.parameters.steps,
      Batch: picture.timing.batch,
    };
    this.facts.replaceChildren(
      ...Object.entries(facts).map(([title, value]) =>
        element("div", {}, element("dt", {}, title), element("dd", { title: value }, value)),
      ),
      ...(picture.truncated
        ? [element("p", { class: "whole" }, "The prompt was longer than the model reads.")]
        : []),
    );
  }

  #savePicture() {
    const { blob, parameters } = this.#picture;
    const words = parameters.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ["picture"];
    download(blob, `${words.slice(0, 8).join("-")}-${parameters.seed}.png`);
  }

  #showCommand() {
    if (this.commandPlace && this.form.chosen) this.commandPlace.textContent = this.command;
  }

  #speak(text) {
    this.spoken.textContent = text;
  }

  #build() {
    const timingPlace = element("div");
    const total = element("p", { class: "figure" }, "–");
    this.timing = new TimingBar(timingPlace, total);
    this.facts = element("dl", { class: "facts" });
    this.problem = element("div", { role: "alert" });
    this.spoken = element("p", { class: "visually-hidden", role: "status" });
    this.commandPlace = element("pre", { class: "code wrap", tabindex: 0 });
    this.jsonPlace = element("pre", { class: "code json", tabindex: 0 });
    this.save = button("Save the PNG", () => this.#savePicture());
    this.copyJson = button("Copy");
    const copyCommand = button("Copy");
    copyCommand.disabled = false;
    copyButton(copyCommand, () => this.command);
    copyButton(this.copyJson, () => this.json);
    return element(
      "div",
      { class: "reply" },
      element("section", { "aria-label": "Order" }, this.problem, this.form.form, this.spoken),
      part("Timing", total, timingPlace, this.facts),
      part("The same from a terminal", copyCommand, this.commandPlace),
      part("What paints it again", element("span", {}, this.save, " ", this.copyJson), this.jsonPlace),
    );
  }
}

function part(title, beside, ...content) {
  return element(
    "section",
    { "aria-label": title },
    element("header", { class: "section-head" }, element("h2", {}, title), beside),
    content,
  );
}

function button(title, act) {
  return element("button", { type: "button", disabled: true, onclick: act }, title);
}

/** What the last event told, as this page keeps it. */
function pictureOf({ images: [{ image, seed, index }], parameters, server_timing, prompt_truncated }, of) {
  const bytes = Uint8Array.from(atob(image), (letter) => letter.charCodeAt(0));
  const blob = new Blob([bytes], { type: "image/png" });
  return {
    blob,
    url: URL.createObjectURL(blob),
    parameters: { ...parameters, seed, index },
    timing: parseServerTiming(server_timing),
    truncated: prompt_truncated,
    ...of,
  };
}
