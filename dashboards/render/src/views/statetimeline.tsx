import {
  DataFrame,
  dateTimeFormat,
  DisplayValue,
  Field,
  FieldColorModeId,
  FieldType,
  formattedValueToString,
  getFieldDisplayName,
  GrafanaTheme2,
} from '@grafana/data';
import { LegendDisplayMode, LegendPlacement, VisibilityMode } from '@grafana/schema';
import {
  getTextColorForAlphaBackground,
  measureText,
  useTheme2,
  VizLayout,
  VizLegend,
  VizLegendItem,
} from '@grafana/ui';

import { ViewProps } from './view';

const FONT = 12;
const AXIS = 24;

interface Span {
  start: number;
  end: number;
  value: unknown;
  shown: DisplayValue;
}

interface Row {
  name: string;
  field: Field;
  spans: Span[];
}

/** @grafana/ui exports no state timeline: this draws its rows of spans, and takes its legend from there. */
export function StateTimelineView(props: ViewProps) {
  const theme = useTheme2();
  const options = props.panel.options ?? {};
  const rows = props.frames.flatMap((frame) =>
    rowsOf(frame, props.frames, options.mergeValues ?? true, props.range.to.valueOf())
  );
  const items = legendItems(rows, theme);
  const legend = {
    showLegend: true,
    displayMode: LegendDisplayMode.List,
    placement: 'bottom' as LegendPlacement,
    ...options.legend,
  };
  const shown = legend.showLegend && legend.displayMode !== 'hidden' && items.length > 0;
  return (
    <VizLayout
      width={props.width}
      height={props.height}
      legend={
        shown ? (
          <VizLayout.Legend placement={legend.placement}>
            <VizLegend placement={legend.placement} items={items} displayMode={legend.displayMode} readonly />
          </VizLayout.Legend>
        ) : null
      }
    >
      {(width: number, height: number) => <Rows {...props} width={width} height={height} rows={rows} />}
    </VizLayout>
  );
}

function Rows({ panel, rows, width, height, range, timeZone }: ViewProps & { rows: Row[] }) {
  const theme = useTheme2();
  const custom = panel.fieldConfig?.defaults?.custom ?? {};
  const { rowHeight = 0.9, showValue = VisibilityMode.Auto } = panel.options ?? {};
  const widest = Math.max(0, ...rows.map((row) => measureText(row.name, FONT).width));
  const left = Math.min(width / 3, widest + 12);
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const x = (at: number) => left + ((Math.min(Math.max(at, from), to) - from) / (to - from)) * (width - left);
  const lane = (height - AXIS) / Math.max(1, rows.length);
  const alpha = (custom.fillOpacity ?? 70) / 100;
  return (
    <svg width={width} height={height} fontFamily={theme.typography.fontFamily} fontSize={FONT}>
      {ticks(from, to, width - left).map((tick) => (
        <g key={tick.at}>
          <line x1={x(tick.at)} x2={x(tick.at)} y1={0} y2={height - AXIS} stroke={gridColor(theme)} />
          {x(tick.at) < width - 2 * FONT && (
            <text x={x(tick.at)} y={height - 8} textAnchor="middle" fill={theme.colors.text.primary}>
              {dateTimeFormat(tick.at, { timeZone, format: tick.format })}
            </text>
          )}
        </g>
      ))}
      {rows.map((row, index) => (
        <g key={index} transform={`translate(0, ${index * lane + (lane * (1 - rowHeight)) / 2})`}>
          <text x={left - 8} y={(lane * rowHeight) / 2 + 4} textAnchor="end" fill={theme.colors.text.primary}>
            {row.name}
          </text>
          {row.spans.map((span, number) => {
            const [start, end] = [x(span.start), x(span.end)];
            const text = formattedValueToString(span.shown);
            const fits = measureText(text, FONT).width + 8 < end - start;
            const color = span.shown.color ?? theme.colors.text.disabled;
            return (
              <g key={number}>
                <rect
                  x={start}
                  y={0}
                  width={Math.max(1, end - start)}
                  height={lane * rowHeight}
                  fill={color}
                  fillOpacity={alpha}
                  stroke={color}
                  strokeWidth={custom.lineWidth ?? 0}
                />
                {showValue !== VisibilityMode.Never && (fits || showValue === VisibilityMode.Always) && lane > FONT && (
                  <text
                    x={start + 4}
                    y={(lane * rowHeight) / 2 + 4}
                    fill={getTextColorForAlphaBackground(color, alpha > 0.4)}
                  >
                    {text}
                  </text>
                )}
              </g>
            );
          })}
        </g>
      ))}
    </svg>
  );
}

function rowsOf(frame: DataFrame, all: DataFrame[], merge: boolean, end: number): Row[] {
  const time = frame.fields.find((field) => field.type === FieldType.time);
  if (!time) {
    return [];
  }
  return frame.fields
    .filter((field) => field !== time && !field.config.custom?.hideFrom?.viz)
    .map((field) => ({ name: getFieldDisplayName(field, frame, all), field, spans: spansOf(time, field, merge, end) }));
}

/** A value holds until the next one; where samples are missing for more than a step there is a gap. */
function spansOf(time: Field, field: Field, merge: boolean, end: number): Span[] {
  const step = time.config.interval ?? Infinity;
  const spans: Span[] = [];
  field.values.forEach((value, index) => {
    if (value === null || value === undefined) {
      return;
    }
    const start = time.values[index];
    const until = Math.min(time.values[index + 1] ?? end, start + step, end);
    const shown = field.display!(value);
    const last = spans.at(-1);
    if (merge && last && last.end >= start && formattedValueToString(last.shown) === formattedValueToString(shown)) {
      last.end = until;
    } else {
      spans.push({ start, end: until, value, shown });
    }
  });
  return spans;
}

function legendItems(rows: Row[], theme: GrafanaTheme2): VizLegendItem[] {
  const config = rows[0]?.field.config;
  const mode = config?.color?.mode ?? '';
  const steps = config?.thresholds?.steps ?? [];
  const item = (label: string, color: string) => ({
    label,
    color: theme.visualization.getColorByName(color),
    yAxis: 1,
  });
  if (mode === FieldColorModeId.Thresholds && steps.length > 1 && !config?.mappings?.length) {
    const name = (value: number) => formattedValueToString(rows[0].field.display!(value));
    return steps.map((step, index) =>
      item(index === 0 ? `< ${name(steps[1].value)}` : `${name(step.value)}+`, step.color)
    );
  }
  if (mode.startsWith('continuous') && !config?.mappings?.length) {
    return [];
  }
  const states = new Map<string, string>();
  for (const span of rows.flatMap((row) => row.spans)) {
    states.set(formattedValueToString(span.shown), span.shown.color ?? theme.colors.text.disabled);
  }
  return [...states].filter(([label]) => label !== '').map(([label, color]) => item(label, color));
}

const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400].map((s) => s * 1000);

function ticks(from: number, to: number, width: number): Array<{ at: number; format: string }> {
  const most = Math.max(1, Math.floor(width / 100));
  const every = TICKS.find((step) => (to - from) / step <= most) ?? TICKS[TICKS.length - 1];
  const format = every < 60000 ? 'HH:mm:ss' : every < 86400000 ? 'HH:mm' : 'MM/DD';
  const first = Math.ceil(from / every) * every;
  return Array.from({ length: Math.floor((to - first) / every) + 1 }, (_, index) => ({
    at: first + index * every,
    format,
  }));
}

function gridColor(theme: GrafanaTheme2): string {
  return theme.isDark ? 'rgba(240, 250, 255, 0.09)' : 'rgba(0, 10, 23, 0.09)';
}
