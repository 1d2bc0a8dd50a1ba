/** Where panels are: 24 columns, rows of 30 px and 8 px between them, as in Grafana. */

import { GridPos, Panel } from './job';
import { Values } from './variables';

const COLUMNS = 24;
const ROW = 30;
const GAP = 8;

export interface Placed {
  panel: Panel;
  at: GridPos;
}

export function pixels(at: GridPos, width: number) {
  const column = (width - GAP * (COLUMNS - 1)) / COLUMNS;
  return {
    left: at.x * (column + GAP),
    top: at.y * (ROW + GAP),
    width: at.w * column + (at.w - 1) * GAP,
    height: at.h * ROW + (at.h - 1) * GAP,
  };
}

/** Panels from top to bottom; repeated ones once per value, and collapsed rows opened if wanted. */
export function place(panels: Panel[], values: Values, expandRows: boolean): Placed[] {
  const placed: Placed[] = [];
  let shift = 0;
  for (const panel of panels) {
    const at = { x: 0, y: 0, w: COLUMNS, h: 8, ...panel.gridPos };
    if (panel.type === 'row') {
      if (panel.repeat) {
        throw new Error(`row ${panel.title}: repeated rows are not drawn here`);
      }
      placed.push({
        panel: { ...panel, collapsed: panel.collapsed && !expandRows },
        at: { ...at, y: at.y + shift, h: 1 },
      });
      if (panel.collapsed && expandRows && panel.panels?.length) {
        const inner = place(panel.panels, values, expandRows);
        const top = Math.min(...inner.map((each) => each.at.y));
        const bottom = Math.max(...inner.map((each) => each.at.y + each.at.h));
        const down = at.y + shift + 1 - top;
        placed.push(...inner.map((each) => ({ ...each, at: { ...each.at, y: each.at.y + down } })));
        shift += bottom - top;
      }
      continue;
    }
    const copies = repeated(panel, { ...at, y: at.y + shift }, values);
    placed.push(...copies);
    shift += Math.max(...copies.map((copy) => copy.at.y + copy.at.h)) - (at.y + shift + at.h);
  }
  return placed;
}

function repeated(panel: Panel, at: GridPos, values: Values): Placed[] {
  const names = panel.repeat ? (values[panel.repeat]?.values ?? []) : [];
  if (names.length === 0) {
    return [{ panel, at }];
  }
  const across = Math.min(names.length, panel.maxPerRow ?? 4);
  const width = Math.floor(COLUMNS / across);
  return names.map((name, index) => ({
    panel: { ...panel, scoped: { [panel.repeat!]: [name] } },
    at:
      panel.repeatDirection === 'v'
        ? { ...at, y: at.y + index * at.h }
        : { ...at, x: (index % across) * width, y: at.y + Math.floor(index / across) * at.h, w: width },
  }));
}

/** Titles of panels that lie on each other, or outside the grid. */
export function overlaps(placed: Placed[]): string[] {
  const found: string[] = [];
  placed.forEach(({ panel, at }, index) => {
    if (at.x < 0 || at.x + at.w > COLUMNS) {
      found.push(`${panel.title}: outside the ${COLUMNS} columns`);
    }
    for (const other of placed.slice(index + 1)) {
      const apart =
        at.x + at.w <= other.at.x ||
        other.at.x + other.at.w <= at.x ||
        at.y + at.h <= other.at.y ||
        other.at.y + other.at.h <= at.y;
      if (!apart) {
        found.push(`${panel.title} lies on ${other.panel.title}`);
      }
    }
  });
  return found;
}
