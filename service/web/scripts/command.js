/** The command line that asks the same. */

import { address } from "./server.js";

export function commandFor({ task, options, picture }) {
  const url = quote(address(task, options));
  const type = quote(`Content-Type: ${picture?.type ?? "image/jpeg"}`);
  if (picture?.source) {
    return `curl -s ${quote(picture.source)} |\n  curl --data-binary @- -H ${type} ${url}`;
  }
  return `curl --data-binary ${quote(`@${picture?.name ?? "image.jpg"}`)} -H ${type} ${url}`;
}

/** The same of a picture that is to be painted. */
export function orderCommand(order) {
  const json = quote("Content-Type: application/json");
  return `curl -d ${quote(JSON.stringify(order))} -H ${json} ${quote(address("generate"))} > picture.png`;
}

/** As a POSIX shell reads it back unchanged. */
function quote(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", "'\\''")}'`;
}
