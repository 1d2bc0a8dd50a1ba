/** What render.mjs asks for, and what a picture reports back. */

export interface Job {
  dashboard: Dashboard;
  from: string;
  to: string;
  theme: 'dark' | 'light';
  variables: Record<string, string[]>;
  scrapeInterval: string;
  expandRows: boolean;
}

export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Target {
  refId?: string;
  expr?: string;
  legendFormat?: string;
  instant?: boolean;
  range?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
  interval?: string;
  hide?: boolean;
}

export interface Panel {
  id?: number;
  type: string;
  title?: string;
  description?: string;
  transparent?: boolean;
  gridPos?: GridPos;
  targets?: Target[];
  fieldConfig?: { defaults?: any; overrides?: any[] };
  options?: any;
  transformations?: any[];
  interval?: string;
  maxDataPoints?: number;
  repeat?: string;
  repeatDirection?: 'h' | 'v';
  maxPerRow?: number;
  collapsed?: boolean;
  panels?: Panel[];
  links?: any[];
  /** Values of repeated variables, of this copy only. */
  scoped?: Record<string, string[]>;
}

export interface Variable {
  name: string;
  type: string;
  label?: string;
  hide?: number;
  query?: any;
  definition?: string;
  regex?: string;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string | null;
  current?: { value?: any; text?: any };
  options?: Array<{ value?: any; text?: any; selected?: boolean }>;
}

export interface Annotation {
  name: string;
  enable?: boolean;
  hide?: boolean;
  builtIn?: number;
  iconColor?: string;
  expr?: string;
  target?: Target;
  titleFormat?: string;
  step?: string;
}

export interface Dashboard {
  title: string;
  description?: string;
  tags?: string[];
  timezone?: string;
  graphTooltip?: number;
  panels?: Panel[];
  templating?: { list?: Variable[] };
  annotations?: { list?: Annotation[] };
  links?: any[];
}

/** One line of the report: `empty` means that there is nothing to see. */
export interface PanelReport {
  title: string;
  type: string;
  samples: number;
  series: number;
  empty: boolean;
  errors: string[];
}

declare global {
  interface Window {
    __reports: PanelReport[];
    __done: boolean;
    __grafana_public_path__: string;
  }
}
