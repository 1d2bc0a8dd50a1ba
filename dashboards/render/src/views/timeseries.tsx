import { DataFrame, Field, FieldType } from '@grafana/data';
import { REGION_FILL_ALPHA, TimeSeries, UPlotConfigBuilder, useTheme2 } from '@grafana/ui';

import { useMemo } from 'react';

import { Mark, ViewProps } from './view';

/** Configurations that have their marks: one is rendered several times. */
const marked = new WeakSet<UPlotConfigBuilder>();
const LEGEND = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] };

/** @grafana/ui's TimeSeries, with the annotations drawn over it. */
export function TimeSeriesView({ panel, frames, width, height, range, timeZone, marks }: ViewProps) {
  const theme = useTheme2();
  const drawable = useMemo(() => frames.map(finite), [frames]);
  const legend = { ...LEGEND, ...panel.options?.legend };
  return (
    <TimeSeries
      frames={drawable}
      width={width}
      height={height}
      timeRange={range}
      timeZone={timeZone}
      legend={legend.displayMode === 'hidden' ? { ...legend, showLegend: false } : legend}
      options={panel.options}
    >
      {(config: UPlotConfigBuilder) => {
        if (!marked.has(config)) {
          marked.add(config);
          drawMarks(config, marks, (color) => theme.visualization.getColorByName(color));
        }
        return null;
      }}
    </TimeSeries>
  );
}

/** What is no number is a gap: 0/0 has no place on an axis. */
function finite(frame: DataFrame): DataFrame {
  const values = (field: Field) => field.values.map((value) => (Number.isFinite(value) ? value : null));
  const fields = frame.fields.map((field) =>
    field.type === FieldType.number ? { ...field, values: values(field) } : field
  );
  return { ...frame, fields };
}

function drawMarks(config: UPlotConfigBuilder, marks: Mark[], colorOf: (name: string) => string): void {
  if (marks.length === 0) {
    return;
  }
  config.addHook('draw', (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const mark of marks) {
      const left = plot.valToPos(mark.start, 'x', true);
      const right = plot.valToPos(mark.end, 'x', true);
      ctx.fillStyle = ctx.strokeStyle = colorOf(mark.color);
      ctx.globalAlpha = REGION_FILL_ALPHA;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.globalAlpha = 1;
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(left, bbox.top);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  });
}
