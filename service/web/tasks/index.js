/**
 * The tasks that this page can show, in the order of the tabs. A new one is a file here and a line
 * below. Only those that the server has a model for are offered.
 *
 * A task is { name, title, summary, samples, options, narrow, draw, say }:
 *   name      the task in a model's manifest, and the server's path, where there is no `path`
 *   searches  whether the samples can be sorted by a sentence
 *   samples   the kind of sample scenes to begin with: see `data-kind` in index.html
 *   options   numbers for the query: { name, title, least, most(model), step, usual(model) }, and
 *             offered(model) where not every model takes it; one with `asked` is a slider: the
 *             server is asked with that value, and what a person chose is left to `narrow`; one
 *             with `toggle` is a box to tick, and has nothing but its name and title; one with
 *             `choices`, pairs of a value and its title, has beside them a name and a title, and
 *             the first of them is what the server does anyway; one with `tidy` is a field for
 *             text, asked with tidy(text) if that is not empty, which it must not be where there
 *             is usual(model); it may have a hint(model) and a pattern
 *   narrow(answer, values)
 *             where a slider is: the answer that the server would give with these values
 *   draw({ result, overlay, model, again }, answer)
 *             one image's answer: HTML into `result`, which still holds the last answer of this
 *             task; SVG into the empty `overlay`, in pixels of the image as sent;
 *             again(accept, options) asks the same for another form of the answer
 *   say(answer)
 *             the same in a few words, for those who listen
 *
 * One that needs no image has { name, title, summary, studio } instead: studio(place, { onTrouble })
 * fills its own room, and is then told of the models by offer(models).
 */

import { classify } from "./classify.js";
import { depth } from "./depth.js";
import { detect } from "./detect.js";
import { embed } from "./embed.js";
import { generate } from "./generate.js";
import { segment } from "./segment.js";

export const TASKS = [classify, detect, segment, depth, embed, generate];
