/** Waiting until a person pauses. */

const PAUSE_MS = 250;

/** A function that calls `act` a while after it was last called; not if that was with false. */
export function pausing(act) {
  let timer;
  return (wanted = true) => {
    clearTimeout(timer);
    if (wanted) timer = setTimeout(act, PAUSE_MS);
  };
}
