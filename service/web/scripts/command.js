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

/** As a POSIX shell reads it back unchanged. */
function quote(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", "'\\''")}'`;
}
