/** Masks in COCO's run lengths: a map of ids, and the outline of each as a path of SVG. */

const CELLS_TRACED = 1_000_000; // at most: of a larger picture every second pixel, or third …

/** The segments as one map, thinned where it is large: { ids, width, height, thin }. */
export function readMasks(segments, pictureWidth, pictureHeight) {
  const thin = Math.ceil(Math.sqrt((pictureWidth * pictureHeight) / CELLS_TRACED));
  const width = Math.ceil(pictureWidth / thin);
  const height = Math.ceil(pictureHeight / thin);
  const ids = new Uint8Array(width * height);
  for (const { id, mask } of segments) {
    let start = 0; // pixels are counted down the columns
    readCounts(mask.counts).forEach((count, index) => {
      const end = start + count;
      if (index % 2) fill(ids, width, thin, pictureHeight, start, end, id);
      start = end;
    });
  }
  return { ids, width, height, thin };
}

function fill(ids, width, thin, pictureHeight, start, end, id) {
  while (start < end) {
    const x = Math.floor(start / pictureHeight);
    const top = start - x * pictureHeight;
    const foot = Math.min(pictureHeight, top + end - start);
    if (x % thin === 0) {
      for (let y = Math.ceil(top / thin); y * thin < foot; y++) ids[y * width + x / thin] = id;
    }
    start += foot - top;
  }
}

/** Five bits a character, the low ones first, and a sixth that says whether more follow; from the
 *  fourth on a count is the difference from the one two before. */
export function readCounts(text) {
  const counts = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let shift = 0;
    let bits;
    do {
      bits = text.charCodeAt(at++) - 48;
      value |= (bits & 31) << shift;
      shift += 5;
    } while (bits & 32);
    if (bits & 16 && shift < 32) value |= -1 << shift;
    if (counts.length > 2) value += counts.at(-2);
    counts.push(value);
  }
  return counts;
}

/** For each id { path, room }: its outline, holes and all, along the edges of pixels; and the
 *  middle and the width of the longest stretch of a row inside it, { x, y, width }, where its name
 *  has room. In pixels of the picture. */
export function traceMasks({ ids, width, height, thin }) {
  const found = new Map();
  const seen = new Uint8Array(ids.length); // whose top has been walked along
  for (let y = 0, at = 0; y < height; y++) {
    let run = 0;
    for (let x = 0; x < width; x++, at++) {
      const id = ids[at];
      run = x && ids[at - 1] === id ? run + 1 : 1;
      if (!id) continue;
      if (!found.has(id)) found.set(id, { path: "", longest: { run: 0 } });
      const trace = found.get(id);
      const { longest } = trace;
      if (run > longest.run) trace.longest = { run, x, top: y, foot: y };
      else if (run === longest.run && x === longest.x && y === longest.foot + 1) longest.foot = y;
      if ((y && ids[at - width] === id) || seen[at]) continue;
      trace.path += walk(ids, width, height, thin, x, y, seen);
    }
  }
  for (const trace of found.values()) {
    const { run, x, top, foot } = trace.longest;
    const middle = { x: x + 1 - run / 2, y: (top + foot + 1) / 2 };
    trace.room = { x: middle.x * thin, y: middle.y * thin, width: run * thin };
  }
  return found;
}

// Sides of a pixel, clockwise from its top: where each begins, and which way it goes.
const BEGINS = [[0, 0], [1, 0], [1, 1], [0, 1]];
const GOES = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/** Once around, from the top of a pixel, with the inside to the right. */
function walk(ids, width, height, thin, startX, startY, seen) {
  const id = ids[startY * width + startX];
  const isInside = (x, y) =>
    x >= 0 && y >= 0 && x < width && y < height && ids[y * width + x] === id;
  let [x, y, side] = [startX, startY, 0];
  let path = `M${x * thin} ${y * thin}`;
  do {
    if (side === 0) seen[y * width + x] = 1;
    const [dx, dy] = GOES[side];
    const before = side;
    if (!isInside(x + dx, y + dy)) side = (side + 1) % 4;
    else if (!isInside(x + dx + dy, y + dy - dx)) [x, y] = [x + dx, y + dy];
    else [x, y, side] = [x + dx + dy, y + dy - dx, (side + 3) % 4];
    if (side === before) continue;
    const [right, down] = BEGINS[side];
    path += before % 2 ? `V${(y + down) * thin}` : `H${(x + right) * thin}`;
  } while (x !== startX || y !== startY || side !== 0);
  return `${path}Z`;
}
