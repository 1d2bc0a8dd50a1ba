import { TableCellHeight } from '@grafana/schema';
import { TableNG } from '@grafana/ui/unstable';

import { fieldConfigOf } from '../fields';
import { ViewProps } from './view';

/** @grafana/ui's TableNG, which is Grafana's own table since version 12. */
export function TableView(props: ViewProps) {
  const options = props.panel.options ?? {};
  const frame = props.frames[Math.min(options.frameIndex ?? 0, props.frames.length - 1)];
  return (
    <TableNG
      data={frame}
      width={props.width}
      height={props.height}
      noHeader={options.showHeader === false}
      showTypeIcons={Boolean(options.showTypeIcons)}
      sortBy={options.sortBy}
      cellHeight={options.cellHeight ?? TableCellHeight.Sm}
      frozenColumns={options.frozenColumns?.left}
      enablePagination={Boolean(options.enablePagination ?? options.footer?.enablePagination)}
      timeRange={props.range}
      fieldConfig={fieldConfigOf(props.panel)}
      structureRev={1}
      resizable
    />
  );
}
