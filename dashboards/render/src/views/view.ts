import { DataFrame, InterpolateFunction, TimeRange } from '@grafana/data';

import { Panel } from '../job';

/** A mark on the time axis; `end` for a span. Milliseconds. */
export interface Mark {
  start: number;
  end: number;
  color: string;
  title: string;
}

export interface ViewProps {
  panel: Panel;
  frames: DataFrame[];
  width: number;
  height: number;
  range: TimeRange;
  timeZone: string;
  marks: Mark[];
  replace: InterpolateFunction;
}
