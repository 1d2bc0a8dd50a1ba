/** Everything a panel shows, fetched and prepared, with the report on it. */

import { DataFrame, FieldType, GrafanaTheme2, TimeRange } from '@grafana/data';

import { configured, transformed } from './fields';
import { Annotation, Panel, PanelReport, Target } from './job';
import { queryFrames, toTables } from './prometheus';
import { interpolate, Values } from './variables';
import { Mark } from './views/view';

export interface Surroundings {
  range: TimeRange;
  timeZone: string;
  scrapeInterval: string;
  values: Values;
  theme: GrafanaTheme2;
}

export interface Loaded {
  frames: DataFrame[];
  report: PanelReport;
}

export const WITHOUT_DATA = ['text', 'row'];

export function valuesOf(panel: Panel, around: Surroundings): Values {
  const scoped = Object.entries(panel.scoped ?? {}).map(([name, values]) => [name, { values, multi: false }]);
  return { ...around.values, ...Object.fromEntries(scoped) };
}

export async function loadPanel(panel: Panel, width: number, around: Surroundings): Promise<Loaded> {
  const values = valuesOf(panel, around);
  const replace = (text: string, scoped?: any) => interpolate(text, values, scoped, 'text');
  const title = replace(panel.title ?? '');
  const report: PanelReport = { title, type: panel.type, samples: 0, series: 0, empty: false, errors: [] };
  if (WITHOUT_DATA.includes(panel.type)) {
    return { frames: [], report };
  }
  try {
    const raw = await queries(panel, { ...around, values }, width, report);
    report.series = raw.length;
    report.samples = raw.flatMap((frame) => frame.fields[1].values).filter((value) => !Number.isNaN(value)).length;
    const frames = await transformed(panel, shaped(panel, raw), replace);
    report.empty = !frames.some((frame) => frame.length > 0 && frame.fields.some(hasValue));
    return { frames: configured(panel, frames, around.theme, around.timeZone, replace), report };
  } catch (error) {
    report.errors.push(String(error));
    report.empty = true;
    return { frames: [], report };
  }
}

function hasValue(field: DataFrame['fields'][number]): boolean {
  return field.type !== FieldType.time && field.values.some((value) => value !== null && !Number.isNaN(value));
}

async function queries(panel: Panel, around: Surroundings, width: number, report: PanelReport): Promise<DataFrame[]> {
  const targets = (panel.targets ?? []).filter((target) => !target.hide && target.expr);
  const answers = await Promise.all(
    targets.map((target) =>
      queryFrames(target, {
        ...around,
        minInterval: panel.interval,
        maxDataPoints: panel.maxDataPoints || Math.max(1, Math.floor(width)),
      }).catch((error) => {
        report.errors.push(`${target.refId}: ${error}`);
        return [];
      })
    )
  );
  return answers.flat();
}

/** Queries in table format become one table each; the others stay one frame per series. */
function shaped(panel: Panel, frames: DataFrame[]): DataFrame[] {
  const asTable = (target: Target) => target.format === 'table';
  const tables = new Set((panel.targets ?? []).filter(asTable).map((target) => target.refId));
  const plain = frames.filter((frame) => !tables.has(frame.refId));
  return [
    ...plain,
    ...toTables(
      frames.filter((frame) => tables.has(frame.refId)),
      tables.size > 1
    ),
  ];
}

/** Annotations by a query: a mark where the value is above zero, over the time for which that lasts. */
export async function loadMarks(annotations: Annotation[], around: Surroundings): Promise<Mark[]> {
  const active = annotations.filter(
    (each) => each.enable !== false && !each.builtIn && (each.expr ?? each.target?.expr)
  );
  const all = await Promise.all(
    active.map(async (annotation) => {
      const target: Target = {
        ...annotation.target,
        expr: annotation.expr ?? annotation.target?.expr,
        range: true,
        instant: false,
      };
      target.interval = annotation.step ?? target.interval;
      const frames = await queryFrames(target, { ...around, maxDataPoints: 100 });
      return frames.flatMap((frame) => marksOf(frame, annotation));
    })
  );
  return all.flat();
}

function marksOf(frame: DataFrame, annotation: Annotation): Mark[] {
  const [time, value] = frame.fields;
  const step = time.config.interval ?? 0;
  const marks: Mark[] = [];
  time.values.forEach((at: number, index: number) => {
    if (!(value.values[index] > 0)) {
      return;
    }
    const last = marks.at(-1);
    if (last && at - last.end <= step) {
      last.end = at;
    } else {
      marks.push({ start: at, end: at, color: annotation.iconColor ?? 'red', title: annotation.name });
    }
  });
  return marks;
}
