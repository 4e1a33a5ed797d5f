/** A colour for every number from 0 to 1, the same that the server draws with. */

const MARKS = (
  "0a014d 21085d 380b6b 510d76 6b0f7b 85127c 9f1877 b6246f cb3365 " +
  "de4457 ed5848 f5713f f88c42 faa54d fcbe5b fed66b fdef7f"
)
  .split(" ")
  .map((mark) => [0, 2, 4].map((at) => parseInt(mark.slice(at, at + 2), 16)));

/** RGB of 256 shares, dark to light, one after the other. */
export const COLOUR_MAP = Uint8Array.from({ length: 768 }, (_, at) => {
  const place = (Math.floor(at / 3) / 255) * (MARKS.length - 1);
  const mark = Math.min(MARKS.length - 2, Math.floor(place));
  const [low, high] = [MARKS[mark][at % 3], MARKS[mark + 1][at % 3]];
  return Math.round(low + (high - low) * (place - mark));
});

/** A canvas with a colour for each of `shares`; those that are NaN stay clear. */
export function paintShares(shares, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pixels = new ImageData(width, height);
  shares.forEach((share, at) => {
    if (Number.isNaN(share)) return;
    const colour = 3 * Math.round(Math.min(1, Math.max(0, share)) * 255);
    pixels.data.set(COLOUR_MAP.subarray(colour, colour + 3), 4 * at);
    pixels.data[4 * at + 3] = 255;
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}
