/** Points in space, turned by mouse, finger or keyboard. Nothing is drawn until something moves. */

import { element } from "./dom.js";

const VERTEX = `
  attribute vec3 point;
  attribute vec3 colour;
  uniform mat3 turn;
  uniform vec3 middle;
  uniform vec4 lens; // focal across and down, distance, size of a point at the middle
  varying vec3 seen;
  void main() {
    vec3 at = turn * (point - middle);
    float ahead = at.z + lens.z;
    gl_Position = vec4(lens.x * at.x, -lens.y * at.y, ahead - 0.1 * lens.z, ahead);
    gl_PointSize = clamp(lens.w * lens.z / max(ahead, 1e-6), 1.0, 24.0);
    seen = colour;
  }`;

const FRAGMENT = `
  precision mediump float;
  varying vec3 seen;
  void main() { gl_FragColor = vec4(seen, 1.0); }`;

const START = { yaw: 0.35, pitch: 0.15, away: 1.1 };
const STEP = 0.08;

export class PointCloud {
  #view = { ...START };
  #count = 0;
  #asked = 0;

  constructor() {
    this.canvas = element("canvas", {
      class: "cloud",
      tabindex: 0,
      role: "img",
      "aria-label": "The points in space. Arrow keys turn them, plus and minus move, Home resets.",
    });
    this.gl = this.canvas.getContext("webgl", { antialias: false });
    if (!this.gl) return;
    this.#program = this.#compile();
    this.#listen();
    new ResizeObserver(() => this.#redraw()).observe(this.canvas);
  }

  get works() {
    return Boolean(this.gl);
  }

  /** `camera` and the sides of the image say how the points were seen: that is where one stands. */
  show({ count, points, colours }, { focal_px: focal }, { width, height }) {
    const { gl } = this;
    this.#count = count;
    this.canvas.dataset.points = count;
    this.#lens = { focal, width, height };
    const depths = Float32Array.from({ length: count }, (_, at) => points[3 * at + 2]).sort();
    this.#middle = [0, 0, depths[count >> 1] ?? 1];
    this.#fill("point", points, gl.FLOAT, false);
    this.#fill("colour", colours, gl.UNSIGNED_BYTE, true);
    this.#view = { ...START };
    this.#redraw();
  }

  #program;
  #lens;
  #middle;
  #buffers = {};

  #compile() {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    return program;
  }

  #fill(name, values, type, normalised) {
    const { gl } = this;
    this.#buffers[name] ??= gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(this.#program, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 3, type, normalised, 0, 0);
  }

  #listen() {
    const { canvas } = this;
    const keys = {
      ArrowLeft: () => this.#turn(-STEP, 0),
      ArrowRight: () => this.#turn(STEP, 0),
      ArrowUp: () => this.#turn(0, -STEP),
      ArrowDown: () => this.#turn(0, STEP),
      "+": () => this.#move(1 / 1.1),
      "-": () => this.#move(1.1),
      Home: () => this.#reset(),
    };
    canvas.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
    canvas.addEventListener("pointerdown", ({ pointerId }) => canvas.setPointerCapture(pointerId));
    canvas.addEventListener("pointermove", ({ buttons, movementX, movementY }) => {
      if (buttons) this.#turn(movementX * 0.008, movementY * 0.008);
    });
    canvas.addEventListener("dblclick", () => this.#reset());
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.#move(Math.exp(event.deltaY * 0.001));
      },
      { passive: false },
    );
  }

  #turn(yaw, pitch) {
    this.#view.yaw += yaw;
    this.#view.pitch = Math.min(1.5, Math.max(-1.5, this.#view.pitch + pitch));
    this.#redraw();
  }

  #move(times) {
    this.#view.away = Math.min(6, Math.max(0.2, this.#view.away * times));
    this.#redraw();
  }

  #reset() {
    this.#view = { ...START };
    this.#redraw();
  }

  #redraw() {
    cancelAnimationFrame(this.#asked);
    this.#asked = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const { gl, canvas } = this;
    if (!this.#count) return;
    const { yaw, pitch, away } = this.#view;
    Object.assign(canvas.dataset, { yaw: yaw.toFixed(2), pitch: pitch.toFixed(2) });
    canvas.width = canvas.clientWidth * devicePixelRatio;
    canvas.height = canvas.clientHeight * devicePixelRatio;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0.043, 0.09, 0.098, 1); // the stage's own dark
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const { focal, width, height } = this.#lens;
    const fits = Math.min(canvas.width / width, canvas.height / height); // of the canvas, a pixel
    const spacing = Math.sqrt((width * height) / this.#count) * fits;
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const place = (name) => gl.getUniformLocation(this.#program, name);
    // Yaw about the upright, then pitch about the level axis; columns first.
    const turn = [cy, sy * sp, -sy * cp, 0, cp, sp, sy, -cy * sp, cy * cp];
    gl.uniformMatrix3fv(place("turn"), false, turn);
    gl.uniform3fv(place("middle"), this.#middle);
    gl.uniform4f(
      place("lens"),
      (2 * focal * fits) / canvas.width,
      (2 * focal * fits) / canvas.height,
      this.#middle[2] * away,
      (2.4 * spacing) / away,
    );
    gl.drawArrays(gl.POINTS, 0, this.#count);
  }
}
