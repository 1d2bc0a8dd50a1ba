import { createTheme, dateMath, DateTime, dateTime, ThemeContext, TimeRange } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { Board } from './board';
import { registerTransformers } from './fields';
import { Job, PanelReport } from './job';
import { overlaps, place, Placed } from './layout';
import { Loaded, loadMarks, Surroundings } from './load';
import { resolveVariables, Values } from './variables';

async function show(): Promise<void> {
  const job: Job = await (await fetch('/job.json')).json();
  const { dashboard } = job;
  const range: TimeRange = {
    from: moment(job.from, false),
    to: moment(job.to, true),
    raw: { from: job.from, to: job.to },
  };
  const theme = createTheme({ colors: { mode: job.theme } });
  const values = await resolveVariables(
    dashboard.templating?.list ?? [],
    job.variables,
    builtIn(range, dashboard.title)
  );
  const around: Surroundings = {
    range,
    timeZone: dashboard.timezone && dashboard.timezone !== '' ? dashboard.timezone : 'browser',
    scrapeInterval: job.scrapeInterval,
    values,
    theme,
  };
  const marks = await loadMarks(dashboard.annotations?.list ?? [], around);
  const placed = place(dashboard.panels ?? [], values, job.expandRows);
  for (const problem of overlaps(placed)) {
    console.error(problem);
  }
  const panels = placed.filter(({ panel }) => panel.type !== 'row');
  const reports = new Map<Placed, PanelReport>();
  const onLoaded = (which: Placed, loaded: Loaded) => {
    reports.set(which, loaded.report);
    if (reports.size === panels.length) {
      window.__reports = panels.map((panel) => reports.get(panel)!);
      window.__done = true;
    }
  };
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Board {...{ dashboard, placed, around, marks, onLoaded }} width={document.documentElement.clientWidth} />
      <PortalContainer />
    </ThemeContext.Provider>
  );
  if (panels.length === 0) {
    throw new Error('a dashboard without panels');
  }
}

/** Milliseconds or seconds since 1970, an ISO time, or Grafana's relative form (now-15m). */
function moment(text: string, roundUp: boolean): DateTime {
  const number = Number(text);
  const parsed = Number.isNaN(number)
    ? (dateMath.toDateTime(text, { roundUp }) ?? dateTime(text))
    : dateTime(number < 1e11 ? number * 1000 : number);
  if (!parsed.isValid()) {
    throw new Error(`${text} is no time`);
  }
  return parsed;
}

function builtIn(range: TimeRange, title: string): Values {
  const one = (value: string | number) => ({ values: [String(value)], multi: false });
  return { __from: one(range.from.valueOf()), __to: one(range.to.valueOf()), __dashboard: one(title) };
}

window.__done = false;
registerTransformers();
show().catch((error) => {
  console.error(String(error?.stack ?? error));
  window.__reports = [];
  window.__done = true;
});
