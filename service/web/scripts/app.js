/** The page: its parts, put together. */

import { TASKS } from "../tasks/index.js";
import { Controls } from "./controls.js";
import { element, find } from "./dom.js";
import { openIntake } from "./intake.js";
import { showModels } from "./models-panel.js";
import { pictureOfFile } from "./picture.js";
import { Playground } from "./playground.js";
import { Samples } from "./samples.js";
import { Search } from "./search.js";
import { Stage } from "./stage.js";
import { copyButton } from "./takeaway.js";
import { followTheme } from "./theme.js";
import { TimingBar } from "./timing.js";
import { Watch } from "./watch.js";

const STATES = {
  loading: ["loading", "Models are loading.", "Your picture will be looked at as soon as one is ready."],
  unready: ["not ready", "The server is not ready:", ""],
  away: ["no answer", "The server does not answer.", "This page goes on trying."],
};

let offered = []; // the tasks that the server can do now
let models = [];
let current; // the task that is shown
let studio; // of the task that needs no image, once it was shown

const stage = new Stage({
  stage: find("stage"),
  picture: find("picture"),
  overlay: find("overlay"),
  facts: find("picture-facts"),
});
const controls = new Controls(find("options"), {
  changed: () => {
    playground.ask();
    search.search();
  },
  narrowed: () => playground.tellAgain(),
});
const watch = new Watch(tell);
const playground = new Playground(
  {
    answer: find("answer"),
    problem: find("problem"),
    result: find("result"),
    spoken: find("spoken"),
    facts: find("facts"),
    command: find("command"),
    json: find("json"),
    copyCommand: find("copy-command"),
    copyJson: find("copy-json"),
    savePng: find("save-png"),
  },
  {
    stage,
    controls,
    timing: new TimingBar(find("timing"), find("round-trip")),
    onTrouble: () => watch.look(),
  },
);
const samples = new Samples(find("samples"), {
  take: (picture) => playground.choose(picture),
  fail: (problem, again) => playground.fail(problem, again),
});
const search = new Search(
  { form: find("search"), input: find("sentence"), said: find("search-said") },
  samples,
  () => controls.model,
);

followTheme(find("theme"));
openIntake({ button: find("choose"), input: find("file"), stage: find("stage") }, (file) => {
  samples.clear();
  playground.choose(pictureOfFile(file));
});
copyButton(find("copy-command"), () => playground.command);
copyButton(find("copy-json"), () => playground.json);
find("save-png").addEventListener("click", () => playground.savePng());
addEventListener("hashchange", showTask);
watch.look();

function tell(seen) {
  const ready = seen.state === "ready";
  const [word, title, advice] = ready ? ["ready"] : STATES[seen.state];
  const state = find("state");
  state.dataset.state = seen.state;
  sayOnce(state, word);
  const notice = find("notice");
  notice.hidden = ready;
  if (!ready) sayOnce(notice, element("b", {}, title), ` ${advice || seen.reason}`);
  if (!seen.models) return;
  models = seen.models;
  showModels(find("models"), models, seen.problems);
  offered = TASKS.filter((task) => modelsFor(task).length);
  showTask();
}

/** What did not change is not read out again. */
function sayOnce(place, ...content) {
  const said = content.map((part) => part.textContent ?? part).join("");
  if (place.textContent !== said) place.replaceChildren(...content);
}

/** The task that the address names, else the one before, else the first, if the server can do it. */
function showTask() {
  const named = offered.find(({ name }) => `#${name}` === location.hash);
  current = named ?? (offered.includes(current) ? current : offered[0]);
  if (!current) return;
  find("task-title").textContent = current.title;
  find("task-path").textContent = `POST /${current.path ?? current.name}`;
  find("task-summary").textContent = current.summary;
  showTabs();
  showRoom();
  if (current.studio) {
    studio.offer(modelsFor(current));
    return;
  }
  samples.offer(current.samples);
  playground.offer(current, modelsFor(current));
  search.offer(Boolean(current.searches));
}

/** A task has the bench, or a studio in its place. */
function showRoom() {
  const paints = Boolean(current.studio);
  find("bench").hidden = find("options").hidden = paints;
  find("studio").hidden = !paints;
  if (paints) studio ??= current.studio(find("studio"), { onTrouble: () => watch.look() });
}

function showTabs() {
  const tabs = find("tasks");
  if (tabs.children.length !== offered.length) {
    tabs.replaceChildren(
      ...offered.map((task) => element("a", { href: `#${task.name}` }, task.title)),
    );
  }
  [...tabs.children].forEach((tab, index) => {
    if (offered[index] === current) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  });
}

function modelsFor(task) {
  return models
    .filter((model) => model.state === "ready" && model.task === task.name)
    .sort((one, other) => other.default - one.default);
}
