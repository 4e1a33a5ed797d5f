// Before the first paint, so that a remembered theme does not flash.
try {
  const remembered = localStorage.getItem("theme");
  if (remembered === "light" || remembered === "dark") {
    document.documentElement.dataset.theme = remembered;
  }
} catch {
  // Storage is forbidden here: the system's theme will do.
}
