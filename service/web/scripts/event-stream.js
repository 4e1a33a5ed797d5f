/** Server-sent events of an answer to a POST, which EventSource cannot ask for. */

/** Yields { name, data } as they come; `data` is read as JSON. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const whole = text.split("\n\n");
      text = whole.pop();
      for (const block of whole) {
        const event = read(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // of a stream that was given up nobody needs to hear more
  }
}

function read(block) {
  const fields = Object.fromEntries(
    block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
  );
  return fields.data && { name: fields.event, data: JSON.parse(fields.data) };
}
