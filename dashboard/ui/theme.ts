// Light and dark: as the system has it, unless the reader chose. theme-first.ts sets it before the first paint.

import { computed, effect, signal } from "@preact/signals";

export type Choice = "system" | "light" | "dark";

const stored = "forebay-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(dark.matches);
dark.addEventListener("change", () => { systemDark.value = dark.matches; });

function read(): Choice {
  try {
    const v = localStorage.getItem(stored);
    if (v === "light" || v === "dark") return v;
  } catch {
    // no storage: the system's wish holds
  }
  return "system";
}

/** choice is what the reader wants. */
export const choice = signal<Choice>(read());

/** theme is what is shown. */
export const theme = computed<"light" | "dark">(() =>
  choice.value === "system" ? (systemDark.value ? "dark" : "light") : choice.value);

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
  try {
    if (choice.value === "system") localStorage.removeItem(stored);
    else localStorage.setItem(stored, choice.value);
  } catch {
    // as above
  }
});

/** colour is the value of one of the style sheet's variables, for canvases. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
