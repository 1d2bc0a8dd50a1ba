/** Values of dashboard variables, and their place in texts and queries. */

import { ScopedVars } from '@grafana/data';

import { Variable } from './job';
import { labelValues } from './prometheus';

export type Values = Record<string, { values: string[]; multi: boolean; raw?: string }>;

const PATTERN = /\$\{([A-Za-z_]\w*)(?:\.([^}:]+))?(?::(\w+))?\}|\[\[(\w+?)(?::(\w+))?\]\]|\$(\w+)/g;
const ALL = '$__all';

/** Variables may use those before them. What is not given takes the board's own choice, else all, else the first option. */
export async function resolveVariables(
  variables: Variable[],
  given: Record<string, string[]>,
  builtIn: Values
): Promise<Values> {
  const found: Values = { ...builtIn };
  for (const variable of variables) {
    if (variable.type === 'datasource') {
      found[variable.name] = { values: given[variable.name] ?? ['prometheus'], multi: false };
      continue;
    }
    const options = await optionsOf(variable, found);
    const chosen = given[variable.name] ?? choiceOf(variable, options);
    const all = chosen.includes(ALL) || chosen.includes('All');
    found[variable.name] = {
      values: all ? options : chosen,
      multi: Boolean(variable.multi || variable.includeAll),
      raw: all && variable.allValue ? variable.allValue : undefined,
    };
  }
  return found;
}

function choiceOf(variable: Variable, options: string[]): string[] {
  const current = variable.current?.value;
  const saved = (Array.isArray(current) ? current : [current]).filter((value) => value != null && value !== '');
  if (saved.length > 0) {
    return saved.map(String);
  }
  return variable.includeAll ? [ALL] : options.slice(0, 1);
}

async function optionsOf(variable: Variable, values: Values): Promise<string[]> {
  const text = interpolate(textOf(variable), values);
  if (variable.type === 'query') {
    const call = /^\s*label_values\((?:(.+),)?\s*([A-Za-z_]\w*)\s*\)\s*$/s.exec(text);
    if (!call) {
      throw new Error(`variable ${variable.name}: only label_values(…) is known here, not ${text}`);
    }
    return filtered(await labelValues(call[2], call[1]?.trim()), variable.regex);
  }
  if (variable.type === 'custom' || variable.type === 'interval') {
    return text.split(',').map((option) => option.trim().replace(/^.* : /, ''));
  }
  return [text];
}

function textOf(variable: Variable): string {
  return typeof variable.query === 'string' ? variable.query : (variable.query?.query ?? variable.definition ?? '');
}

function filtered(options: string[], regex?: string): string[] {
  const parts = /^\/(.*)\/(\w*)$/s.exec(regex ?? '');
  if (!regex) {
    return options;
  }
  const pattern = parts ? new RegExp(parts[1], parts[2].replace('g', '')) : new RegExp(regex);
  return options.flatMap((option) => {
    const match = pattern.exec(option);
    return match ? [match[1] ?? match[0]] : [];
  });
}

/** `purpose` decides how several values are written: as a regular expression in a query, with plus signs in a text. */
export function interpolate(
  text: string,
  values: Values,
  scoped?: ScopedVars,
  purpose: 'query' | 'text' = 'query'
): string {
  return text.replace(PATTERN, (whole, braced, path, format, bracketed, bracketFormat, plain) => {
    const name = braced ?? bracketed ?? plain;
    const special = name.startsWith('__') ? fieldMacro(name, path, scoped) : undefined;
    if (special !== undefined) {
      return special;
    }
    const value = values[name];
    return value ? write(value, format ?? bracketFormat ?? (purpose === 'text' ? 'text' : undefined)) : whole;
  });
}

function write(value: Values[string], format?: string): string {
  if (value.raw !== undefined && format !== 'text') {
    return value.raw;
  }
  switch (format) {
    case 'raw':
    case 'csv':
      return value.values.join(',');
    case 'text':
      return value.values.join(' + ');
    case 'pipe':
      return value.values.join('|');
  }
  if (format !== 'regex' && !value.multi) {
    return value.values[0] ?? '';
  }
  const escaped = value.values.map((each) =>
    each.replace(/[\\^$*+?.()|[\]{}]/g, format === 'regex' ? '\\$&' : '\\\\$&')
  );
  return escaped.length === 1 ? escaped[0] : `(${escaped.join('|')})`;
}

/** `${__field.labels.x}` and its like, from the field that is being shown; other macros are values of their own. */
function fieldMacro(name: string, path: string | undefined, scoped?: ScopedVars): string | undefined {
  const direct = scoped?.[name];
  if (direct && path === undefined) {
    return String(direct.text ?? direct.value);
  }
  const field = scoped?.__dataContext?.value?.field;
  if (name !== '__field' || !field) {
    return undefined;
  }
  if (path === 'name' || path === 'displayName') {
    return field.state?.displayName ?? field.config?.displayNameFromDS ?? field.name;
  }
  if (path === 'labels') {
    return Object.entries(field.labels ?? {})
      .map(([label, value]) => `${label}="${value}"`)
      .join(', ');
  }
  return path?.startsWith('labels.') ? (field.labels?.[path.slice('labels.'.length)] ?? '') : undefined;
}
