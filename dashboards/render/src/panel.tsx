import { PanelChrome } from '@grafana/ui';
import { useEffect, useState } from 'react';

import { Panel } from './job';
import { Loaded, loadPanel, Surroundings, valuesOf } from './load';
import { interpolate } from './variables';
import { BarGaugeView } from './views/bargauge';
import { GaugeView } from './views/gauge';
import { StatView } from './views/stat';
import { StateTimelineView } from './views/statetimeline';
import { TableView } from './views/table';
import { TextView } from './views/text';
import { TimeSeriesView } from './views/timeseries';
import { Mark, ViewProps } from './views/view';

const VIEWS: Record<string, (props: ViewProps) => React.ReactNode> = {
  bargauge: BarGaugeView,
  gauge: GaugeView,
  stat: StatView,
  'state-timeline': StateTimelineView,
  table: TableView,
  text: TextView,
  timeseries: TimeSeriesView,
};

/** These show "No data", or what the board says instead, as their value. */
const REDUCING = ['bargauge', 'gauge', 'stat'];

interface Props {
  panel: Panel;
  width: number;
  height: number;
  around: Surroundings;
  marks: Mark[];
  onLoaded: (loaded: Loaded) => void;
}

export function PanelView({ panel, width, height, around, marks, onLoaded }: Props) {
  const [loaded, setLoaded] = useState<Loaded>();
  const replace = (text: string, scoped?: any) => interpolate(text, valuesOf(panel, around), scoped, 'text');
  useEffect(() => {
    void loadPanel(panel, width, around).then((result) => {
      if (!VIEWS[panel.type]) {
        result.report.errors.push(`panels of type ${panel.type} are not drawn here`);
      }
      setLoaded(result);
      onLoaded(result);
    });
  }, []);
  const title = replace(panel.title ?? '');
  return (
    <PanelChrome
      title={title}
      description={panel.description ? replace(panel.description) : undefined}
      displayMode={panel.transparent ? 'transparent' : 'default'}
      hoverHeader={title === ''}
      padding={panel.type === 'table' ? 'none' : 'md'}
      statusMessage={loaded?.report.errors.join('\n')}
      width={width}
      height={height}
    >
      {(innerWidth, innerHeight) =>
        loaded && <Content {...{ panel, loaded, around, marks, replace }} width={innerWidth} height={innerHeight} />
      }
    </PanelChrome>
  );
}

type ContentProps = Pick<Props, 'panel' | 'width' | 'height' | 'around' | 'marks'> & {
  loaded: Loaded;
  replace: ViewProps['replace'];
};

function Content({ panel, loaded, around, marks, replace, width, height }: ContentProps) {
  const View = VIEWS[panel.type];
  const saysSoItself = REDUCING.includes(panel.type) && loaded.report.errors.length === 0;
  if (!View || (loaded.report.empty && !saysSoItself)) {
    return <NoData text={panel.fieldConfig?.defaults?.noValue ?? 'No data'} />;
  }
  const { range, timeZone } = around;
  return <View {...{ panel, width, height, range, timeZone, marks, replace }} frames={loaded.frames} />;
}

function NoData({ text }: { text: string }) {
  return (
    <div style={{ display: 'flex', height: '100%', alignItems: 'center', justifyContent: 'center' }}>
      <span data-nodata>{text}</span>
    </div>
  );
}
