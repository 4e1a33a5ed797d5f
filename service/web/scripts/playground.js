/** The flow: a picture and a task make a question; its answer, or its problem, is shown. */

import { element } from "./dom.js";
import { milliseconds } from "./format.js";
import { showJson } from "./json-view.js";
import { commandFor } from "./command.js";
import { showProblem } from "./problem-view.js";
import { ask } from "./server.js";
import { download } from "./takeaway.js";

export class Playground {
  #task;
  #picture;
  #asked = new AbortController();
  #reply = null;
  json = "";

  /** `parts`: the elements that are filled; `stage`, `controls`, `timing`: those who fill others. */
  constructor(parts, { stage, controls, timing, onTrouble }) {
    this.parts = parts;
    this.stage = stage;
    this.controls = controls;
    this.timing = timing;
    this.onTrouble = onTrouble;
    this.#forget();
  }

  /** What can be asked now. A picture that waited for this is asked about at once. */
  offer(task, models) {
    const changed = task !== this.#task;
    this.#task = task;
    this.controls.offer(task, models);
    this.#showCommand();
    if (!changed) return;
    this.#forget();
    this.ask();
  }

  choose(picture) {
    this.#picture?.release();
    this.#picture = picture;
    this.stage.show(picture);
    this.ask();
  }

  get command() {
    return commandFor(this.#question());
  }

  /** Whatever is under way is of no use any more: the server hears of it and drops it. */
  async ask() {
    this.#asked.abort();
    this.#showCommand();
    if (!this.#picture) return;
    if (!this.#task) {
      this.#awaitAnswer("Waiting", "Your picture is looked at as soon as a model is ready.");
      return;
    }
    const asked = (this.#asked = new AbortController());
    if (!this.json) this.#awaitAnswer("Looking …", "");
    this.#busy(true);
    try {
      const options = this.controls.asked;
      this.#show(await ask({ ...this.#question(), options, signal: asked.signal }));
    } catch (error) {
      if (asked.signal.aborted) return;
      this.fail(error, () => this.ask());
    }
    if (asked === this.#asked) this.#busy(false);
  }

  /** The answer that is here, narrowed anew. */
  tellAgain() {
    this.#showCommand();
    if (this.#reply) this.parts.spoken.textContent = `${this.#task.say(this.#tell())}.`;
  }

  /** The same answer, drawn by the server. */
  async savePng() {
    const { stem } = this.#picture;
    const question = { ...this.#question(), accept: "image/png" };
    try {
      const { body } = await ask(question);
      download(new Blob([body], { type: "image/png" }), `${stem}-${question.task}.png`);
    } catch (error) {
      showProblem(this.parts.problem, error, () => this.savePng());
    }
  }

  /** The same question for another form of its answer; of no use once something else is asked. */
  #again() {
    const { signal } = this.#asked;
    const { options: chosen, ...question } = this.#question();
    return (accept, options = {}) =>
      ask({ ...question, options: { ...chosen, ...options }, accept, signal });
  }

  #question() {
    const task = this.#task.path ?? this.#task.name;
    return { task, options: this.controls.options, picture: this.#picture };
  }

  #show(reply) {
    this.#reply = JSON.parse(new TextDecoder().decode(reply.body));
    const { parts } = this;
    parts.problem.replaceChildren();
    const answer = this.#tell();
    this.timing.show(reply.timing, reply.roundTripMs);
    this.#tellFacts({
      Model: this.#reply.model,
      Digest: reply.digest.slice(0, 12),
      Request: reply.requestId,
      Batch: reply.timing.batch,
    });
    parts.copyJson.disabled = parts.savePng.disabled = false;
    parts.spoken.textContent =
      `${this.#task.say(answer)}. Answered in ${milliseconds(reply.roundTripMs)}.`;
  }

  /** Draw the answer as far as the options leave it, and write it down; the answer. */
  #tell() {
    const { model, images } = this.#reply;
    const answer = this.#task.narrow?.(images[0], this.controls.values) ?? images[0];
    this.stage.clearOverlay();
    this.stage.measure(answer.width, answer.height);
    this.#task.draw(
      {
        result: this.parts.result,
        overlay: this.stage.overlay,
        model: this.controls.model,
        again: this.#again(),
      },
      answer,
    );
    this.json = JSON.stringify({ model, images: [answer] }, null, 2);
    showJson(this.parts.json, this.json);
    return answer;
  }

  /** In the place of an answer: what went wrong, and how to try again. */
  fail(error, again) {
    this.#forget();
    this.parts.result.replaceChildren();
    showProblem(this.parts.problem, error, again);
    this.onTrouble();
  }

  #forget() {
    const { parts } = this;
    this.#reply = null;
    this.json = "";
    this.stage.clearOverlay();
    this.timing.clear();
    this.#tellFacts({ Model: "–", Digest: "–", Request: "–", Batch: "–" });
    parts.problem.replaceChildren();
    this.#awaitAnswer(
      "Nothing seen yet",
      "Give it an image: the answer, its timing and its JSON appear here.",
    );
    parts.json.replaceChildren();
    parts.spoken.textContent = "";
    parts.copyJson.disabled = parts.savePng.disabled = true;
  }

  #awaitAnswer(title, text) {
    const words = element("p", { class: "placeholder" }, element("b", {}, title), text);
    this.parts.result.replaceChildren(words);
  }

  #showCommand() {
    this.parts.copyCommand.disabled = !this.#task;
    this.parts.command.textContent = this.#task ? this.command : "";
  }

  #tellFacts(facts) {
    this.parts.facts.replaceChildren(
      ...Object.entries(facts).map(([title, value]) =>
        element("div", {}, element("dt", {}, title), element("dd", { title: value }, value)),
      ),
    );
  }

  #busy(is) {
    this.stage.busy(is);
    this.parts.answer.setAttribute("aria-busy", is);
  }
}
