/** Prometheus' HTTP API, and its answers as data frames in the shape that Grafana's own data source gives them. */

import { DataFrame, Field, FieldType, Labels, rangeUtil, TimeRange } from '@grafana/data';

import { Target } from './job';
import { interpolate, Values } from './variables';

const API = '/prometheus/api/v1/';
const MOST_POINTS = 11000;

interface Sampled {
  metric: Labels;
  value?: [number, string];
  values?: Array<[number, string]>;
}

export interface QueryContext {
  range: TimeRange;
  scrapeInterval: string;
  minInterval?: string;
  maxDataPoints: number;
  values: Values;
}

async function ask(path: string, parameters: Record<string, string>): Promise<any> {
  const answer = await fetch(`${API}${path}?${new URLSearchParams(parameters)}`);
  const body = await answer.json();
  if (body.status !== 'success') {
    throw new Error(`${body.errorType}: ${body.error}`);
  }
  return body.data;
}

export async function labelValues(label: string, match?: string): Promise<string[]> {
  return ask(`label/${label}/values`, match ? { 'match[]': match } : {});
}

/** Seconds between two points: as many as fit the panel, never more often than the scrape. */
function stepOf(target: Target, context: QueryContext): number {
  const low = interpolate(target.interval || context.minInterval || context.scrapeInterval, context.values);
  const { intervalMs } = rangeUtil.calculateInterval(context.range, context.maxDataPoints, low);
  const span = context.range.to.valueOf() - context.range.from.valueOf();
  return Math.max(intervalMs / 1000, Math.ceil(span / 1000 / MOST_POINTS));
}

function macros(step: number, target: Target, context: QueryContext): Values {
  const scrape = rangeUtil.intervalToMs(interpolate(target.interval || context.scrapeInterval, context.values)) / 1000;
  const span = Math.round((context.range.to.valueOf() - context.range.from.valueOf()) / 1000);
  const one = (value: string) => ({ values: [value], multi: false });
  return {
    ...context.values,
    __interval: one(written(step)),
    __interval_ms: one(String(step * 1000)),
    __rate_interval: one(written(Math.max(step + scrape, 4 * scrape))),
    __range: one(`${span}s`),
    __range_s: one(String(span)),
    __range_ms: one(String(span * 1000)),
  };
}

function written(seconds: number): string {
  return Number.isInteger(seconds) ? `${seconds}s` : `${Math.round(seconds * 1000)}ms`;
}

/** All frames of one query. Throws what Prometheus says is wrong with it. */
export async function queryFrames(target: Target, context: QueryContext): Promise<DataFrame[]> {
  const step = stepOf(target, context);
  const values = macros(step, target, context);
  const query = interpolate(target.expr ?? '', values);
  const frames: DataFrame[] = [];
  if (target.range || !target.instant) {
    const aligned = (at: number) => String(Math.floor(at / 1000 / step) * step);
    const start = aligned(context.range.from.valueOf());
    const end = aligned(context.range.to.valueOf());
    frames.push(...toFrames(await ask('query_range', { query, start, end, step: String(step) }), target, query, step));
  }
  if (target.instant) {
    const time = String(context.range.to.valueOf() / 1000);
    frames.push(...toFrames(await ask('query', { query, time }), target, query));
  }
  return frames;
}

/** One frame per series: a time field and a value field that carries the labels. */
function toFrames(data: any, target: Target, query: string, step?: number): DataFrame[] {
  const results: Sampled[] =
    data.resultType === 'scalar' ? [{ metric: {}, value: data.result } as Sampled] : (data.result as Sampled[]);
  return results.map((series) => {
    const points = series.values ?? (series.value ? [series.value] : []);
    const name = legend(series.metric, target.legendFormat, query);
    const time: Field<number> = {
      name: 'Time',
      type: FieldType.time,
      config: step ? { interval: step * 1000 } : {},
      values: points.map((point) => point[0] * 1000),
    };
    const value: Field<number> = {
      name: 'Value',
      type: FieldType.number,
      config: name === undefined ? {} : { displayNameFromDS: name },
      labels: series.metric,
      values: points.map((point) => numberOf(point[1])),
    };
    return { refId: target.refId, name, fields: [time, value], length: points.length };
  });
}

function numberOf(text: string): number {
  return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
}

/** undefined leaves the name to Grafana's rules for fields ("Auto"). */
function legend(metric: Labels, format: string | undefined, query: string): string | undefined {
  if (format === '__auto') {
    return Object.keys(metric).length > 0 ? undefined : query;
  }
  if (format) {
    return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
  }
  const { __name__: name = '', ...labels } = metric;
  const inner = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return inner.length > 0 ? `${name}{${inner.join(', ')}}` : name || query;
}

/** Frames of queries in table format, one per query: time, a column per label, the value. */
export function toTables(frames: DataFrame[], manyQueries: boolean): DataFrame[] {
  const byQuery = new Map<string, DataFrame[]>();
  for (const frame of frames) {
    byQuery.set(frame.refId ?? '', [...(byQuery.get(frame.refId ?? '') ?? []), frame]);
  }
  return [...byQuery].map(([refId, series]) => {
    const names = [...new Set(series.flatMap((frame) => Object.keys(frame.fields[1].labels ?? {})))].sort();
    const labels: Field[] = names.map((name) => ({
      name,
      type: name === 'le' ? FieldType.number : FieldType.string,
      config: { filterable: true },
      values: series.flatMap((frame) => frame.fields[1].values.map(() => cell(name, frame.fields[1].labels?.[name]))),
    }));
    const time = { ...series[0].fields[0], config: {}, values: series.flatMap((frame) => frame.fields[0].values) };
    const value: Field = {
      name: manyQueries ? `Value #${refId}` : 'Value',
      type: FieldType.number,
      config: {},
      values: series.flatMap((frame) => frame.fields[1].values),
    };
    return { refId, fields: [time, ...labels, value], length: time.values.length };
  });
}

function cell(name: string, label: string | undefined): unknown {
  return name === 'le' ? numberOf(label ?? '') : (label ?? '');
}
