// Takes a picture of a dashboard. See README.md.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { chromium } from 'playwright-core';
import sharp from 'sharp';

import { buildPage } from './build.mjs';
import { serve } from './server.mjs';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
];
const LONGEST = 90_000; // milliseconds until all panels are drawn
const ATTEMPTS = 4;
/** Chromium drops what is under way when any interface of the machine comes or goes, be it a container's. */
const isOfTheMachine = (complaint) => complaint.includes('ERR_NETWORK_CHANGED');

const { values: options } = parseArgs({
  options: {
    dashboard: { type: 'string' },
    prometheus: { type: 'string', default: 'http://127.0.0.1:9090' },
    from: { type: 'string', default: 'now-15m' },
    to: { type: 'string', default: 'now' },
    theme: { type: 'string', default: 'dark' },
    out: { type: 'string' },
    width: { type: 'string', default: '1600' },
    scale: { type: 'string', default: '1' },
    var: { type: 'string', multiple: true, default: [] },
    'scrape-interval': { type: 'string', default: '15s' },
    'expand-rows': { type: 'boolean', default: false },
    'may-be-empty': { type: 'string', multiple: true, default: [] },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
if (!options.dashboard || !options.out || !['dark', 'light'].includes(options.theme)) {
  console.error(
    'usage: node render.mjs --dashboard FILE --out FILE.png [--prometheus URL] [--from T] [--to T] [--theme dark|light] …'
  );
  process.exit(2);
}

const job = {
  dashboard: JSON.parse(await readFile(options.dashboard, 'utf8')),
  from: options.from,
  to: options.to,
  theme: options.theme,
  variables: givenVariables(options.var),
  scrapeInterval: options['scrape-interval'],
  expandRows: options['expand-rows'],
};
const server = await serve(await buildPage(), job, options.prometheus);
const profile = await mkdtemp(path.join(os.tmpdir(), 'dashboard-picture-'));
let failed = true;
try {
  failed = await picture(`http://127.0.0.1:${server.address().port}`);
} finally {
  server.close();
  server.closeAllConnections();
  await rm(profile, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

/** --var name=value, several times for several values; $__all for all. */
function givenVariables(pairs) {
  const given = {};
  for (const pair of pairs) {
    const [, name, value] = /^(\w+)=(.*)$/s.exec(pair) ?? [];
    if (!name) {
      throw new Error(`--var ${pair}: write name=value`);
    }
    (given[name] ??= []).push(value);
  }
  return given;
}

async function picture(origin) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: options.chromium,
    args: FLAGS,
    viewport: { width: Number(options.width), height: 1000 },
    deviceScaleFactor: Number(options.scale),
    colorScheme: options.theme,
    reducedMotion: 'reduce',
  });
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    const complaints = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        complaints.push(`console ${message.type()}: ${message.text()} ${message.location().url}`);
      }
    });
    page.on('pageerror', (error) => complaints.push(`console error: ${error.stack ?? error}`));
    await page.route(
      (url) => url.origin !== origin && url.protocol !== 'data:' && url.protocol !== 'blob:',
      (route) => {
        complaints.push(`console error: the page asked for ${route.request().url()}`);
        return route.abort();
      }
    );
    for (let attempt = 1; attempt === 1 || (attempt <= ATTEMPTS && complaints.some(isOfTheMachine)); attempt++) {
      complaints.length = 0;
      await page.goto(origin);
      await page.waitForFunction(() => window.__done, undefined, { timeout: LONGEST });
      await settle(page);
    }
    const image = await page.screenshot({ fullPage: true, animations: 'disabled' });
    await sharp(image)
      .png({ palette: true, colours: 256, quality: 90, effort: 9, compressionLevel: 9 })
      .toFile(options.out);
    const reports = await page.evaluate(() => window.__reports);
    return report(reports, complaints, await page.evaluate(cutOff));
  } finally {
    await context.close();
  }
}

/** Until the fonts and icons are there and the height has not changed for a while: measured parts are drawn twice. */
async function settle(page) {
  await page.evaluate(() => document.fonts.ready);
  await page.waitForLoadState('networkidle');
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: Number(options.width), height });
  await page.waitForTimeout(700);
}

/** Runs in the page: what does not fit where it is. Worth a look, not a failure: in Grafana it would scroll or be cut the same way. */
function cutOff() {
  const notes = [];
  for (const panel of document.querySelectorAll('section')) {
    const title = panel.querySelector('h2')?.textContent ?? '';
    for (const element of panel.querySelectorAll('*')) {
      const style = getComputedStyle(element);
      const down = element.scrollHeight - element.clientHeight;
      const aside = element.scrollWidth - element.clientWidth;
      if (/auto|scroll/.test(style.overflowY) && down > 4) {
        notes.push(
          `${title}: ${down} px of ${element.querySelector('table, ul') ? 'the legend' : 'it'} are to be scrolled to`
        );
      } else if (style.textOverflow === 'ellipsis' && aside > 1 && element.clientWidth > 0) {
        notes.push(`${title}: "${element.textContent}" is cut off`);
      }
    }
  }
  return [...new Set(notes)];
}

/** Prints a line per panel; true if something is wrong. */
function report(reports, complaints, notes) {
  let wrong = reports.length === 0;
  const excused = options['may-be-empty'].map((text) => new RegExp(text));
  for (const { title, type, samples, series, empty, errors } of reports) {
    const fine = !empty || excused.some((pattern) => pattern.test(title));
    wrong ||= !fine || errors.length > 0;
    const note = empty ? (fine ? '  (empty, which is allowed)' : '  EMPTY') : '';
    console.log(
      `${String(samples).padStart(7)} samples ${String(series).padStart(4)} series  ${type.padEnd(15)} ${title}${note}`
    );
    errors.forEach((error) => console.log(`        ERROR ${error}`));
  }
  notes.forEach((note) => console.log(`note: ${note}`));
  for (const complaint of complaints) {
    console.log(complaint);
    wrong ||= complaint.startsWith('console error');
  }
  return wrong;
}
