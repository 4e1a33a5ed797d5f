/** The ways a person brings an image: picked, dropped anywhere, or pasted. */

/** Calls `take(file)` for each. */
export function openIntake({ button, input, stage }, take) {
  const pick = () => input.click();
  button.addEventListener("click", pick);
  stage.addEventListener("click", () => stage.classList.contains("filled") || pick());
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files[0]);
    input.value = ""; // so that the same file may be picked again
  });
  document.addEventListener("paste", (event) => takeFrom(event.clipboardData, event, take));
  openDrop(stage, take);
}

function openDrop(stage, take) {
  const mark = (over) => stage.classList.toggle("over", over);
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    mark(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || mark(false));
  document.addEventListener("drop", (event) => {
    mark(false);
    takeFrom(event.dataTransfer, event, take);
  });
}

/** The first image of what was brought; else the first file, of which the server says what is wrong. */
function takeFrom(transfer, event, take) {
  const files = [...(transfer?.files ?? [])];
  if (!files.length) return; // text pasted into a field is none of ours
  event.preventDefault();
  take(files.find((file) => file.type.startsWith("image/")) ?? files[0]);
}
