import { renderTextPanelMarkdown, textUtil } from '@grafana/data';

import { ViewProps } from './view';

export function TextView({ panel, replace }: Pick<ViewProps, 'panel' | 'replace'>) {
  const { mode = 'markdown', content = '' } = panel.options ?? {};
  const text = replace(content);
  if (mode === 'code') {
    return <pre>{text}</pre>;
  }
  const html = mode === 'html' ? textUtil.sanitizeTextPanelContent(text) : renderTextPanelMarkdown(text);
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: html }} />;
}
