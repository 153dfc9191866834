/** Pictures of the page in headless Chromium, light and dark: for its test, and for README. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * What of playwright-core is used here: it is installed only in `bench/`, and the rest of the repository is checked
 * without it.
 */
interface Playwright {
  readonly chromium: { launch(options: { executablePath: string; args: string[] }): Promise<Browser> };
}
interface Browser {
  newPage(options: {
    colorScheme: 'light' | 'dark';
    viewport: { width: number; height: number };
  }): Promise<Page>;
  close(): Promise<void>;
}
interface Page {
  on(event: 'request', listener: (request: { url(): string }) => void): void;
  on(event: 'console', listener: (message: { text(): string }) => void): void;
  on(event: 'pageerror', listener: (error: Error) => void): void;
  goto(url: string): Promise<unknown>;
  evaluate(script: string): Promise<unknown>;
  screenshot(options: { path: string; fullPage: boolean }): Promise<unknown>;
}

const PLAYWRIGHT: string = 'playwright-core';

/** The browser that is there, or null: also where playwright-core is not installed. */
export function findChromium(): string | null {
  if (!existsSync(join(import.meta.dirname, '../node_modules', PLAYWRIGHT))) return null;
  const places = [
    process.env['CHROMIUM'] ?? '',
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
  ];
  return places.find((path) => path !== '' && existsSync(path)) ?? null;
}

export interface PageFindings {
  /** Requests for anything but the page itself. */
  readonly requests: readonly string[];
  /** What the browser complained about. */
  readonly complaints: readonly string[];
  /** Charts with a size. */
  readonly charts: number;
  /** Elements of charts that stick out of them, by their text. */
  readonly cutOff: readonly string[];
  /** Pairs of texts in a chart of which one lies on the other. */
  readonly overlaps: readonly string[];
  /** The smallest text in a chart, pixels high; null where there is none. */
  readonly smallestText: number | null;
  /** Whether the page is wider than the window. */
  readonly sideways: boolean;
  readonly background: string;
  readonly title: string;
}

export interface PictureOptions {
  /** Of the window, pixels. @default 1200 */
  readonly width?: number;
  /** Run in the page before the picture is taken. */
  readonly prepare?: string;
}

/** Opens the file, writes a picture of the whole page and says what it found. @throws Error where there is no browser */
export async function screenshot(
  html: string,
  png: string,
  scheme: 'light' | 'dark',
  { width = 1200, prepare = '' }: PictureOptions = {},
): Promise<PageFindings> {
  const { chromium } = (await import(PLAYWRIGHT)) as Playwright;
  const executablePath = findChromium();
  if (executablePath === null) throw new Error('no Chromium was found: set CHROMIUM to its path');
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ colorScheme: scheme, viewport: { width, height: 900 } });
    const requests: string[] = [];
    const complaints: string[] = [];
    const address = pathToFileURL(html).href;
    page.on('request', (request) => {
      if (request.url() !== address && !request.url().startsWith('data:')) requests.push(request.url());
    });
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(address);
    // As text: this file is checked without the browser's own types of `document`.
    const found = (await page.evaluate(`(() => {
      const svgs = [...document.querySelectorAll('svg')];
      const cutOff = svgs.flatMap((svg) => {
        const box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter((text) => {
          const b = text.getBoundingClientRect();
          return b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.bottom > box.bottom + 1;
        }).map((text) => text.textContent);
      });
      const heights = [];
      const overlaps = svgs.flatMap((svg) => {
        const texts = [...svg.querySelectorAll('text')].map((text) => ({ text, box: text.getBoundingClientRect() }));
        for (const { box } of texts) if (box.height > 0) heights.push(box.height);
        return texts.flatMap(({ text, box: a }, i) => texts.slice(i + 1).filter(({ box: b }) =>
          Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
          // Lines of text may touch by what a letter has below and above it.
          Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > Math.min(a.height, b.height) / 3,
        ).map((other) => text.textContent + ' / ' + other.text.textContent));
      });
      return {
        overlaps,
        smallestText: heights.length === 0 ? null : Math.min(...heights),
        charts: svgs.filter((svg) => svg.getBoundingClientRect().height > 40).length,
        cutOff,
        sideways: document.documentElement.scrollWidth > window.innerWidth,
        background: getComputedStyle(document.body).backgroundColor,
        title: document.title,
      };
    })()`)) as Omit<PageFindings, 'requests' | 'complaints'>;
    if (prepare !== '') await page.evaluate(prepare);
    await page.screenshot({ path: png, fullPage: true });
    return { requests, complaints, ...found };
  } finally {
    await browser.close();
  }
}
