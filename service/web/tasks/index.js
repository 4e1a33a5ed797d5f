/**
 * The tasks that this page can show, in the order of the tabs. A new one is a file here and a line
 * below. Only those that the server has a model for are offered.
 *
 * A task is { name, title, summary, options, draw, say }:
 *   name      the server's path, and the task in a model's manifest
 *   options   numbers for the query: { name, title, least, most(model), step, usual(model) }
 *   draw({ result, overlay, model }, answer)
 *             one image's answer: HTML into `result`, which still holds the last answer of this
 *             task; SVG into the empty `overlay`, in pixels of the image as sent
 *   say(answer)
 *             the same in a few words, for those who listen
 */

import { classify } from "./classify.js";

export const TASKS = [classify];
