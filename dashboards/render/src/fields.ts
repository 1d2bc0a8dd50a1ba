/** Field options: which there are, what a panel type presets, and how a board's own are laid over that. */

import {
  applyFieldOverrides,
  booleanOverrideProcessor,
  cacheFieldDisplayNames,
  DataFrame,
  displayNameOverrideProcessor,
  FieldConfigOptionsRegistry,
  GrafanaTheme2,
  InterpolateFunction,
  numberOverrideProcessor,
  Registry,
  standardTransformers,
  standardTransformersRegistry,
  thresholdsOverrideProcessor,
  transformDataFrame,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

import { Panel } from './job';

const PROCESSORS: Record<string, any> = {
  unit: unitOverrideProcessor,
  displayName: displayNameOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  decimals: numberOverrideProcessor,
  fieldMinMax: booleanOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
};
const STANDARD = [...Object.keys(PROCESSORS), 'color', 'noValue', 'links', 'description', 'filterable', 'actions'];

/** What Grafana presets where a board says nothing. */
const PRESETS: Record<string, object> = {
  timeseries: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    gradientMode: 'none',
    showPoints: 'auto',
    pointSize: 5,
    spanNulls: false,
    axisPlacement: 'auto',
    axisColorMode: 'text',
    axisBorderShow: false,
    barAlignment: 0,
    barWidthFactor: 0.6,
    scaleDistribution: { type: 'linear' },
    stacking: { mode: 'none', group: 'A' },
    thresholdsStyle: { mode: 'off' },
    hideFrom: { tooltip: false, viz: false, legend: false },
  },
  'state-timeline': { fillOpacity: 70, lineWidth: 0 },
  table: { align: 'auto', cellOptions: { type: 'auto' }, footer: { reducers: [] }, inspect: false },
};
const COLOURS: Record<string, string> = { timeseries: 'palette-classic', 'state-timeline': 'continuous-GrYlRd' };
const THRESHOLDS = {
  mode: 'absolute',
  steps: [
    { value: null, color: 'green' },
    { value: 80, color: 'red' },
  ],
};

export function registerTransformers(): void {
  standardTransformersRegistry.setInit(
    () =>
      [...new Set(Object.values(standardTransformers))].map((transformation) => ({
        id: transformation.id,
        name: transformation.name,
        transformation: () => Promise.resolve(transformation),
        imageDark: '',
        imageLight: '',
      })) as any
  );
}

export async function transformed(
  panel: Panel,
  frames: DataFrame[],
  replace: InterpolateFunction
): Promise<DataFrame[]> {
  const wanted = (panel.transformations ?? []).filter((each) => !each.disabled);
  for (const { id } of wanted) {
    if (!standardTransformersRegistry.getIfExists(id)) {
      throw new Error(`transformation ${id} is not in @grafana/data`);
    }
  }
  if (wanted.length === 0) {
    return frames;
  }
  return lastValueFrom(transformDataFrame(wanted, frames, { interpolate: replace }));
}

export function configured(
  panel: Panel,
  frames: DataFrame[],
  theme: GrafanaTheme2,
  timeZone: string,
  replaceVariables: InterpolateFunction
): DataFrame[] {
  const { defaults, overrides } = fieldConfigOf(panel);
  const fields = applyFieldOverrides({
    data: frames,
    fieldConfig: { defaults, overrides },
    fieldConfigRegistry: registryFor(defaults, overrides),
    replaceVariables,
    theme,
    timeZone,
  });
  cacheFieldDisplayNames(fields); // tables read them from there
  return fields;
}

export function fieldConfigOf(panel: Panel): { defaults: any; overrides: any[] } {
  const own = panel.fieldConfig ?? {};
  const defaults = {
    color: { mode: COLOURS[panel.type] ?? 'thresholds' },
    ...own.defaults,
    thresholds: numbered(own.defaults?.thresholds ?? THRESHOLDS),
    custom: { ...PRESETS[panel.type], ...own.defaults?.custom },
  };
  const overrides = (own.overrides ?? []).map((rule) => ({
    ...rule,
    properties: (rule.properties ?? []).map((each: any) =>
      each.id === 'thresholds' ? { ...each, value: numbered(each.value) } : each
    ),
  }));
  return { defaults, overrides };
}

/** JSON has no infinity: the first step comes as null. */
function numbered(thresholds: any): any {
  return { ...thresholds, steps: thresholds.steps.map((step: any) => ({ ...step, value: step.value ?? -Infinity })) };
}

function registryFor(defaults: any, overrides: any[]): FieldConfigOptionsRegistry {
  const custom = new Set(Object.keys(defaults.custom ?? {}));
  for (const property of overrides.flatMap((rule) => rule.properties)) {
    if (property.id.startsWith('custom.')) {
      custom.add(property.id.slice('custom.'.length));
    } else if (!STANDARD.includes(property.id)) {
      throw new Error(`override of ${property.id}: no such field option`);
    }
  }
  const option = (id: string, path: string, isCustom: boolean) => ({
    id,
    path,
    name: id,
    isCustom,
    process: PROCESSORS[id] ?? ((value: unknown) => value),
    shouldApply: () => true,
    override: null,
    editor: null,
    settings: { expandTemplateVars: true },
  });
  const options = [
    ...STANDARD.map((id) => option(id, id, false)),
    ...[...custom].map((path) => option(`custom.${path}`, path, true)),
  ];
  return new Registry(() => options as any) as unknown as FieldConfigOptionsRegistry;
}
