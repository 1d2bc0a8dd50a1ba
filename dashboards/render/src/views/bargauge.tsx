import { FieldDisplay, getDisplayValueAlignmentFactors, VizOrientation } from '@grafana/data';
import { BarGaugeDisplayMode, BarGaugeNamePlacement, BarGaugeValueMode } from '@grafana/schema';
import { BarGauge, useTheme2, VizRepeater } from '@grafana/ui';

import { displayValues } from './values';
import { ViewProps } from './view';

/** @grafana/ui's BarGauge, one per value; a single value has no name, as in Grafana. */
export function BarGaugeView(props: ViewProps) {
  const theme = useTheme2();
  const options = props.panel.options ?? {};
  const values = displayValues(props, theme).map((value, _, all) =>
    all.length > 1 || value.field.displayName ? value : { ...value, display: { ...value.display, title: undefined } }
  );
  const asked = options.orientation ?? VizOrientation.Auto;
  const orientation =
    asked !== VizOrientation.Auto
      ? asked
      : props.width > props.height
        ? VizOrientation.Vertical
        : VizOrientation.Horizontal;
  const automatic = options.sizing !== 'manual';
  return (
    <VizRepeater<FieldDisplay, ReturnType<typeof getDisplayValueAlignmentFactors>>
      source={props.frames}
      getValues={() => values}
      getAlignmentFactors={(all) => getDisplayValueAlignmentFactors(all)}
      renderCounter={0}
      width={props.width}
      height={props.height}
      minVizWidth={automatic ? 8 : options.minVizWidth}
      minVizHeight={automatic ? 16 : options.minVizHeight}
      maxVizHeight={automatic ? 300 : options.maxVizHeight}
      itemSpacing={options.displayMode === BarGaugeDisplayMode.Lcd ? 2 : 10}
      orientation={orientation}
      renderValue={({ value, width, height, alignmentFactors, orientation: direction }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
          width={width}
          height={height}
          orientation={direction}
          alignmentFactors={alignmentFactors}
          displayMode={options.displayMode ?? BarGaugeDisplayMode.Gradient}
          valueDisplayMode={options.valueMode ?? BarGaugeValueMode.Color}
          namePlacement={options.namePlacement ?? BarGaugeNamePlacement.Auto}
          showUnfilled={options.showUnfilled ?? true}
          text={options.text}
          itemSpacing={options.displayMode === BarGaugeDisplayMode.Lcd ? 2 : 10}
          lcdCellWidth={12}
          theme={theme}
        />
      )}
    />
  );
}
