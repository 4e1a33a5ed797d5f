/** /depth: colours over the picture, the depth under the pointer, and points to be turned. */

import { readNpy, readPly } from "../scripts/binary.js";
import { COLOUR_MAP, paintShares } from "../scripts/colour-map.js";
import { element, shape } from "../scripts/dom.js";
import { PointCloud } from "../scripts/point-cloud.js";

const PIXELS_SHOWN = 1_000_000; // of the colours: a larger map is thinned out
let opacity = 0.85;
let cloud; // one for all answers: a browser has only so many

export const depth = {
  name: "depth",
  title: "Depth",
  summary: "Says how far away everything is.",
  samples: "scenes",
  options: [{ name: "flip", title: "Look twice", toggle: true }],

  draw({ result, overlay, again }, answer) {
    const probe = element("output", { class: "depth-probe" }, "Point at the picture");
    const colours = shape("image", {
      ...{ class: "depth-colours", width: answer.width, height: answer.height },
      preserveAspectRatio: "none",
    });
    colours.style.opacity = opacity;
    const ground = shape("rect", { class: "depth-ground", width: answer.width, height: answer.height });
    overlay.append(colours, ground);
    const room = element("div", { class: "cloud-room" });
    result.replaceChildren(
      element(
        "p",
        { class: "headline" },
        element("span", {}, `${three(answer.min)} to ${three(answer.max)}`),
        element("span", {}, answer.unit === "metre" ? "metres" : "relative"),
      ),
      legend(answer),
      element(
        "div",
        { class: "depth-tools" },
        element("label", {}, "Colours", opacitySlider(colours)),
        probe,
      ),
      room,
    );
    fetchMap({ colours, ground, probe }, answer, again);
    fetchCloud(room, answer, again);
  },

  say({ min, max, unit }) {
    const said = unit === "metre" ? "metres" : "relative units";
    return `${three(min)} to ${three(max)} ${said} away`;
  },
};

function three(number) {
  return number.toLocaleString("en", { maximumSignificantDigits: 3, useGrouping: false });
}

function withUnit(number, { unit }) {
  return unit === "metre" ? `${three(number)} m` : three(number);
}

/** Linear in the inverse, as disparity is: 1 is near, 0 is far. A few wild pixels are left out. */
function nearness(depth, { percentiles: { 2: near, 98: far } }) {
  return (1 / depth - 1 / far) / Math.max(1 / near - 1 / far, 1e-12);
}

/** What is nearer or farther than the ends has their colours. */
function legend(answer) {
  const stripe = Float32Array.from({ length: 256 }, (_, at) => 1 - at / 255);
  const { 2: near, 98: far } = answer.percentiles;
  const values = [near, 2 / (1 / near + 1 / far), far].map((value) => withUnit(value, answer));
  if (answer.min < near) values[0] = `≤ ${values[0]}`;
  if (answer.max > far) values[2] = `≥ ${values[2]}`;
  return element(
    "div",
    { class: "depth-legend" },
    paintShares(stripe, 256, 1),
    element("p", {}, values.map((value) => element("span", {}, value))),
  );
}

function opacitySlider(colours) {
  return element("input", {
    ...{ type: "range", min: 0, max: 1, step: 0.05, value: opacity },
    oninput: ({ target }) => {
      opacity = Number(target.value);
      colours.style.opacity = opacity;
    },
  });
}

async function fetchMap({ colours, ground, probe }, answer, again) {
  try {
    const map = readNpy((await again("application/x-npy")).body);
    const thin = Math.max(1, Math.ceil(Math.sqrt((map.width * map.height) / PIXELS_SHOWN)));
    const [width, height] = [Math.ceil(map.width / thin), Math.ceil(map.height / thin)];
    const shares = new Float32Array(width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        shares[y * width + x] = nearness(map.values[y * thin * map.width + x * thin], answer);
      }
    }
    colours.setAttribute("href", paintShares(shares, width, height).toDataURL());
    listen(ground, probe, map, answer);
  } catch (error) {
    if (error.name !== "AbortError") probe.textContent = error.detail || error.message;
  }
}

function listen(ground, probe, map, answer) {
  ground.addEventListener("pointermove", ({ clientX, clientY }) => {
    const at = new DOMPoint(clientX, clientY).matrixTransform(ground.getScreenCTM().inverse());
    const x = Math.min(map.width - 1, Math.max(0, Math.floor(at.x)));
    const y = Math.min(map.height - 1, Math.max(0, Math.floor(at.y)));
    const depth = map.values[y * map.width + x];
    const said = Number.isNaN(depth) ? "not seen" : withUnit(depth, answer);
    probe.replaceChildren(element("b", {}, said), ` at ${x}, ${y}`);
    const colour = 3 * Math.round(Math.min(1, Math.max(0, nearness(depth, answer))) * 255) || 0;
    probe.style.borderColor = `rgb(${COLOUR_MAP.subarray(colour, colour + 3).join(" ")})`;
  });
  ground.addEventListener("pointerleave", () => {
    probe.replaceChildren("Point at the picture");
    probe.style.borderColor = "";
  });
}

/** Where no camera is known, one whose focal length is the longer side: 53° across. */
async function fetchCloud(room, answer, again) {
  cloud ??= new PointCloud();
  if (!cloud.works) {
    room.replaceChildren("This browser cannot show points in space: it has no WebGL.");
    return;
  }
  const guessed = Math.max(answer.width, answer.height);
  const camera = answer.camera ?? { focal_px: guessed };
  try {
    const options = answer.camera ? {} : { focal_px: guessed };
    const points = readPly((await again("model/ply", options)).body);
    const said = answer.camera ? "" : " No camera is known: one that sees 53° is taken.";
    const help = `Drag to turn, scroll to come nearer, or use the arrow keys; a double click resets.${said}`;
    room.replaceChildren(cloud.canvas, element("p", { class: "cloud-help" }, help));
    cloud.show(points, camera, answer);
  } catch (error) {
    if (error.name !== "AbortError") room.replaceChildren(error.detail || error.message);
  }
}
