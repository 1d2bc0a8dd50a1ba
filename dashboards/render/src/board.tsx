import { rangeUtil } from '@grafana/data';
import { Icon, useTheme2 } from '@grafana/ui';

import { Dashboard, Panel, Variable } from './job';
import { pixels, Placed } from './layout';
import { Loaded, Surroundings } from './load';
import { PanelView } from './panel';
import { interpolate } from './variables';
import { Mark } from './views/view';

const MARGIN = 16;

interface Props {
  dashboard: Dashboard;
  placed: Placed[];
  width: number;
  around: Surroundings;
  marks: Mark[];
  onLoaded: (placed: Placed, loaded: Loaded) => void;
}

export function Board({ dashboard, placed, width, around, marks, onLoaded }: Props) {
  const theme = useTheme2();
  const inner = width - 2 * MARGIN;
  const bottom = Math.max(0, ...placed.map(({ at }) => at.y + at.h));
  return (
    <div style={{ padding: MARGIN, background: theme.colors.background.canvas, width }}>
      <Header dashboard={dashboard} around={around} />
      <div style={{ position: 'relative', height: pixels({ x: 0, y: 0, w: 1, h: bottom }, inner).height }}>
        {placed.map((each, index) => {
          const box = pixels(each.at, inner);
          return (
            <div key={index} style={{ position: 'absolute', ...box }}>
              {each.panel.type === 'row' ? (
                <Row panel={each.panel} around={around} />
              ) : (
                <PanelView
                  panel={each.panel}
                  width={box.width}
                  height={box.height}
                  around={around}
                  marks={marks}
                  onLoaded={(loaded) => onLoaded(each, loaded)}
                />
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** Not Grafana's own page header: the title, the variables and the time, in its colours. */
function Header({ dashboard, around }: { dashboard: Dashboard; around: Surroundings }) {
  const theme = useTheme2();
  const shown = (dashboard.templating?.list ?? []).filter(
    (variable) => variable.hide !== 2 && variable.type !== 'datasource'
  );
  return (
    <header style={{ display: 'flex', alignItems: 'center', gap: 12, marginBottom: 12, minHeight: 32 }}>
      <h1 style={{ ...theme.typography.h4, margin: 0 }}>{dashboard.title}</h1>
      {(dashboard.tags ?? []).map((tag) => (
        <span key={tag} style={{ color: theme.colors.text.secondary, fontSize: 12 }}>
          {tag}
        </span>
      ))}
      {shown.map((variable) => (
        <Chosen key={variable.name} variable={variable} around={around} />
      ))}
      <span style={{ flexGrow: 1 }} />
      <Icon name="clock-nine" />
      <span>{rangeUtil.describeTimeRange({ from: around.range.from, to: around.range.to }, around.timeZone)}</span>
    </header>
  );
}

function Chosen({ variable, around }: { variable: Variable; around: Surroundings }) {
  const theme = useTheme2();
  const border = `1px solid ${theme.colors.border.medium}`;
  return (
    <span style={{ border, borderRadius: theme.shape.radius.default, padding: '3px 8px' }}>
      <span style={{ color: theme.colors.text.secondary, marginRight: 8 }}>{variable.label || variable.name}</span>
      {interpolate(`\${${variable.name}:text}`, around.values)}
    </span>
  );
}

function Row({ panel, around }: { panel: Panel; around: Surroundings }) {
  const theme = useTheme2();
  return (
    <div style={{ display: 'flex', alignItems: 'center', gap: 6, height: '100%', ...theme.typography.h6 }}>
      <Icon name={panel.collapsed ? 'angle-right' : 'angle-down'} />
      {interpolate(panel.title ?? '', around.values, undefined, 'text')}
      {panel.collapsed && (
        <span style={{ color: theme.colors.text.secondary, fontWeight: 400 }}>
          ({panel.panels?.length ?? 0} panels)
        </span>
      )}
    </div>
  );
}
