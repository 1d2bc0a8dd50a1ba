/** What stat, gauge and bar gauge show: each field reduced to one value. */

import { FieldDisplay, getFieldDisplayValues, GrafanaTheme2, ReduceDataOptions } from '@grafana/data';

import { fieldConfigOf } from '../fields';
import { ViewProps } from './view';

export function displayValues(props: ViewProps, theme: GrafanaTheme2, extra: object = {}): FieldDisplay[] {
  const reduceOptions: ReduceDataOptions = { values: false, fields: '', ...props.panel.options?.reduceOptions };
  return getFieldDisplayValues({
    data: props.frames,
    reduceOptions: { ...reduceOptions, calcs: reduceOptions.calcs?.length ? reduceOptions.calcs : ['lastNotNull'] },
    fieldConfig: fieldConfigOf(props.panel),
    replaceVariables: props.replace,
    theme,
    timeZone: props.timeZone,
    ...extra,
  });
}
