import { FieldDisplay, formattedValueToString, ThresholdsMode } from '@grafana/data';
import { calculateFontSize, useTheme2 } from '@grafana/ui';

import { displayValues } from './values';
import { ViewProps } from './view';

const SWEEP = (240 * Math.PI) / 180;
const SPACING = 8;

/** @grafana/ui exports no gauge: this draws its arc, its ring of thresholds, the value and the name. */
export function GaugeView(props: ViewProps) {
  const theme = useTheme2();
  const values = displayValues(props, theme);
  const across = Math.max(
    1,
    Math.min(values.length, Math.round((props.width / props.height) * Math.sqrt(values.length)))
  );
  const down = Math.ceil(values.length / across);
  const width = (props.width - SPACING * (across - 1)) / across;
  const height = (props.height - SPACING * (down - 1)) / down;
  return (
    <div style={{ display: 'flex', flexWrap: 'wrap', gap: SPACING }}>
      {values.map((value, index) => (
        <Dial
          key={index}
          value={value}
          width={width}
          height={height}
          named={values.length > 1 || Boolean(value.field.displayName)}
          markers={props.panel.options?.showThresholdMarkers ?? true}
          labels={props.panel.options?.showThresholdLabels ?? false}
        />
      ))}
    </div>
  );
}

interface DialProps {
  value: FieldDisplay;
  width: number;
  height: number;
  named: boolean;
  markers: boolean;
  labels: boolean;
}

function Dial({ value, width, height, named, markers, labels }: DialProps) {
  const theme = useTheme2();
  const { min, max } = { min: value.field.min ?? 0, max: value.field.max ?? 100 };
  const nameHeight = named ? 22 : 0;
  const margin = labels ? 16 : 2;
  const radius = Math.min((width - 2 * margin) / 2, (height - nameHeight - 2 * margin) / 1.5);
  const ring = markers ? Math.max(3, radius * 0.05) : 0;
  const bar = radius * 0.24;
  const used = margin + 1.5 * radius + nameHeight;
  const top = Math.max(0, (height - used) / 2);
  const center = { x: width / 2, y: top + margin + radius };
  const share = (at: number) => Math.min(1, Math.max(0, (at - min) / (max - min)));
  const text = formattedValueToString(value.display);
  const size = Math.min(calculateFontSize(text, (radius - bar - ring) * 1.6, radius * 0.7, 1), 64);
  const middle = radius - ring - 2 - bar / 2;
  return (
    <svg width={width} height={height} fontFamily={theme.typography.fontFamily}>
      <path d={arc(center, middle, 0, 1)} stroke={theme.colors.background.secondary} strokeWidth={bar} fill="none" />
      {Number.isFinite(value.display.numeric) && (
        <path
          d={arc(center, middle, 0, share(value.display.numeric))}
          stroke={value.display.color}
          strokeWidth={bar}
          fill="none"
        />
      )}
      {markers &&
        thresholdSpans(value, min, max).map((span, index) => (
          <path
            key={index}
            d={arc(center, radius - ring / 2, share(span.from), share(span.to))}
            stroke={theme.visualization.getColorByName(span.color)}
            strokeWidth={ring}
            fill="none"
          />
        ))}
      {labels &&
        thresholdSpans(value, min, max).map((span, index) => {
          const at = point(center, radius + 8, share(span.from));
          return (
            <text key={index} x={at.x} y={at.y} fontSize={10} textAnchor="middle" fill={theme.colors.text.secondary}>
              {formattedValueToString(
                value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)?.(span.from) ?? { text: `${span.from}` }
              )}
            </text>
          );
        })}
      <text
        x={center.x}
        y={center.y + size * 0.35}
        fontSize={size}
        fontWeight={500}
        textAnchor="middle"
        fill={value.display.color}
      >
        {text}
      </text>
      {named && (
        <text x={center.x} y={top + used - 5} fontSize={14} textAnchor="middle" fill={theme.colors.text.primary}>
          {value.display.title}
        </text>
      )}
    </svg>
  );
}

function thresholdSpans({ field }: FieldDisplay, min: number, max: number) {
  const percent = field.thresholds?.mode === ThresholdsMode.Percentage;
  const steps = (field.thresholds?.steps ?? []).map(({ value, color }) => ({
    color,
    from: Math.max(min, percent ? min + (value / 100) * (max - min) : value),
  }));
  return steps
    .map((step, index) => ({ ...step, to: Math.min(max, steps[index + 1]?.from ?? max) }))
    .filter((span) => span.to > span.from);
}

function point(center: { x: number; y: number }, radius: number, share: number) {
  const angle = Math.PI / 2 + (2 * Math.PI - SWEEP) / 2 + share * SWEEP;
  return { x: center.x + radius * Math.cos(angle), y: center.y + radius * Math.sin(angle) };
}

function arc(center: { x: number; y: number }, radius: number, from: number, to: number): string {
  const [start, end] = [point(center, radius, from), point(center, radius, to)];
  return `M ${start.x} ${start.y} A ${radius} ${radius} 0 ${(to - from) * SWEEP > Math.PI ? 1 : 0} 1 ${end.x} ${end.y}`;
}
