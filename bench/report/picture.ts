/**
 * A picture of what is most asked about in a page, for README: the ratios, and the first chart of some scenarios. Needs
 * Chromium and `npm install` in `bench/`.
 *
 * Usage: node bench/report/picture.ts PAGE.html PICTURE.png [SCENARIO...]
 */
import { screenshot } from './screenshot.ts';

const [html, png, ...scenarios] = process.argv.slice(2);
if (html === undefined || png === undefined)
  throw new TypeError('usage: picture.ts PAGE.html PICTURE.png [SCENARIO...]');
const kept = scenarios.length > 0 ? scenarios : ['coldstart', 'throughput'];
const prepare = `(() => {
  const kept = ${JSON.stringify(kept)};
  for (const part of document.querySelectorAll('section')) {
    if (!kept.includes(part.id)) { part.remove(); continue; }
    const [, ...others] = part.querySelectorAll('figure');
    for (const other of [...others, ...part.querySelectorAll(':scope > :not(h2, figure)')]) other.remove();
  }
  const who = [...document.querySelectorAll('h2')].find((heading) => heading.textContent === 'Who is compared');
  who?.nextElementSibling?.remove();
  who?.remove();
})()`;
const { complaints } = await screenshot(html, png, 'light', { prepare });
for (const complaint of complaints) process.stderr.write(`${complaint}\n`);
