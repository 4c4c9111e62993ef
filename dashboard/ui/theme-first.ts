// Runs before the first paint, so that a reader who chose dark is not shown a white page first.
try {
  const chosen = localStorage.getItem("forebay-theme");
  const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset["theme"] = dark ? "dark" : "light";
} catch {
  // without storage the style sheet's default holds
}
