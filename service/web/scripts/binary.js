/** Numbers as other programs write them: NumPy's .npy, and clouds of points as PLY. */

/** A map of little-endian float32: { width, height, values }. */
export function readNpy(buffer) {
  const view = new DataView(buffer);
  const wide = view.getUint8(6) > 1;
  const start = (wide ? 12 : 10) + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, start));
  const [, height, width] = header.match(/'descr': '<f4', .*'shape': \((\d+), (\d+)\)/).map(Number);
  return { width, height, values: new Float32Array(buffer.slice(start)) };
}

const VERTEX_BYTES = 15;

/** Binary vertices of x, y, z and red, green, blue: { count, points, colours }. */
export function readPly(buffer) {
  const head = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, 1024));
  const start = head.indexOf("end_header\n") + "end_header\n".length;
  const count = Number(head.match(/element vertex (\d+)/)[1]);
  const points = new Float32Array(3 * count);
  const colours = new Uint8Array(3 * count);
  const view = new DataView(buffer, start);
  for (let vertex = 0; vertex < count; vertex++) {
    for (let axis = 0; axis < 3; axis++) {
      const at = vertex * VERTEX_BYTES;
      points[3 * vertex + axis] = view.getFloat32(at + 4 * axis, true);
      colours[3 * vertex + axis] = view.getUint8(at + 12 + axis);
    }
  }
  return { count, points, colours };
}
