/** One colour a class, the same that the server draws with. */

const BASE = (
  "1f77e8 ff9f1c b6144a 22e5f2 bf9bfe 1dad9b d1ec77 b66e1d " +
  "d114b6 fe656e 5cda92 2f38fe 894a89 fe6ec8 f5a4d1 bf5c6e " +
  "8089f5 6efeb6 6ed1fe c89214 fec814 c865bf b64114 5c65ad " +
  "8014da adbf5c 14ad5c ad4ad1 da8092 149241 d14a92 26adda " +
  "fe2f41 fead80 5cec41 b61477 bf38fe a477da 38c8a4 4aecc8"
).split(" ");

const SHADES = [(part) => part, (part) => part * 0.7, (part) => part + (255 - part) * 0.4];

/** The colour of a model's label at `index`: the label's own if it has one. */
export function classColour(index, label) {
  if (label?.colour) return label.colour;
  const shade = SHADES[Math.floor(index / BASE.length) % SHADES.length];
  const base = BASE[index % BASE.length];
  const parts = [0, 2, 4].map((at) => Math.round(shade(parseInt(base.slice(at, at + 2), 16))));
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

// [toward, share]: the server's own.
const TURNS = [
  [255, 0],
  [255, 0.35],
  [0, 0.3],
  [255, 0.6],
  [0, 0.5],
];

/** The colour of the `turn`-th of several things that share it: the first has it as it is. */
export function shade(colour, turn) {
  const [toward, share] = TURNS[turn % TURNS.length];
  const parts = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16);
    return Math.round(part + (toward - part) * share);
  });
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}
