// A bar with its figure beside it, for cells of tables.

import { Bar, type Tone } from "../components";

/** Share shows a share from 0 to 1 as a bar, with what it is of in words. */
export function Share({ share, text, tone, name }: { share: number; text: string; tone?: Tone; name: string }) {
  return (
    <span class="share">
      <Bar share={share} tone={tone} label={`${name}: ${text}`} />
      <span class="num" aria-hidden="true">{text}</span>
    </span>
  );
}
