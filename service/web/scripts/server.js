/** The server, spoken to over HTTP. Addresses are relative: a proxy may put it below any path. */

import { askForKey, withKey } from "./key.js";
import { parseServerTiming } from "./timing.js";

/** What went wrong, as the server told it (RFC 9457) or as the network showed it. */
export class Problem extends Error {
  constructor({ title, detail = "", status = 0, requestId = "", retryAfterS = 0 }) {
    super(title);
    Object.assign(this, { title, detail, status, requestId, retryAfterS });
  }
}

export function address(path, options = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(options)) url.searchParams.set(name, value);
  return url.href;
}

/** POST /<task>: the reply, its body as bytes, and all that its headers tell. */
export async function ask({ task, options, picture, accept = "application/json", signal }) {
  const started = performance.now();
  const response = await reach(address(task, options), {
    method: "POST",
    body: picture.blob,
    headers: { "Content-Type": picture.type, Accept: accept },
    signal,
  });
  const body = await response.arrayBuffer();
  return {
    body,
    roundTripMs: performance.now() - started,
    timing: parseServerTiming(response.headers.get("Server-Timing") ?? ""),
    requestId: response.headers.get("X-Request-Id") ?? "",
    model: response.headers.get("X-Model") ?? "",
    digest: response.headers.get("X-Model-Digest") ?? "",
  };
}

/** { state: "ready" | "loading" | "unready" | "away", reason } */
export async function readiness() {
  try {
    const response = await fetch(address("readyz"), { cache: "no-store" });
    if (response.ok) return { state: "ready", reason: "" };
    const { reason = "" } = await response.json();
    return { state: reason === "models are being loaded" ? "loading" : "unready", reason };
  } catch {
    return { state: "away", reason: "" };
  }
}

export async function listModels() {
  return (await reach(address("models"), { cache: "no-store" })).json();
}

/** All versions of a model with what their manifests say. */
export async function describeModel(name) {
  return (await reach(address(`models/${name}`), { cache: "no-store" })).json();
}

/** The response if it is a good one, else a Problem. Asks the person for a key where one is wanted. */
export async function reach(url, init = {}) {
  let response;
  try {
    do {
      response = await fetch(url, { ...init, headers: withKey(init.headers) });
    } while (response.status === 401 && (await askForKey()));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "The server does not answer",
      detail: "It may be starting, or out of reach of this page.",
    });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  return new Problem({
    title: told.title ?? `The server answered ${response.status}`,
    detail: told.detail ?? response.statusText,
    status: response.status,
    requestId: response.headers.get("X-Request-Id") ?? told.instance ?? "",
    retryAfterS: Number(response.headers.get("Retry-After") ?? 0),
  });
}
