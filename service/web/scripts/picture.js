/** A picture to ask about: its bytes, its name, and where others can get it. */

import { reach } from "./server.js";

export class Picture {
  /** `source` is the address of a picture that the server itself has, such as a sample. */
  constructor(blob, name, source = "") {
    this.blob = blob;
    this.name = name;
    this.source = source;
    this.url = URL.createObjectURL(blob);
  }

  get type() {
    return this.blob.type || "application/octet-stream";
  }

  /** The name without its ending. */
  get stem() {
    return this.name.replace(/\.[^.]*$/, "");
  }

  release() {
    URL.revokeObjectURL(this.url);
  }
}

export function pictureOfFile(file) {
  return new Picture(file, file.name || "image");
}

export async function pictureFrom(source) {
  const response = await reach(source);
  return new Picture(await response.blob(), source.split("/").at(-1), source);
}
