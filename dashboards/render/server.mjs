// The page's own little web server: the bundle, Grafana's icons, the fonts, the job, and Prometheus behind the same origin.
import { createReadStream, existsSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);
const ui = path.join(path.dirname(require.resolve('@grafana/ui/package.json')), 'dist', 'public', 'img', 'icons');
const inter = path.join(path.dirname(require.resolve('@fontsource/inter/package.json')), 'files');
const mono = path.join(path.dirname(require.resolve('@fontsource/roboto-mono/package.json')), 'files');

const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Dashboard</title>
<link rel="stylesheet" href="/main.css"><style>body { margin: 0 } * { box-sizing: border-box }</style>
<script>window.__grafana_public_path__ = '/public/';</script></head>
<body><div id="root"></div><script type="module" src="/main.js"></script></body></html>`;
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };
const FONTS = {
  'inter/Inter-Regular.woff2': [inter, 'inter-latin-400-normal.woff2'],
  'inter/Inter-Medium.woff2': [inter, 'inter-latin-500-normal.woff2'],
  'inter/Inter-Italic.woff2': [inter, 'inter-latin-400-italic.woff2'],
  'inter/Inter-MediumItalic.woff2': [inter, 'inter-latin-500-italic.woff2'],
};

/** Listens on a free port of loopback; resolves to the server. */
export function serve(bundle, job, prometheus) {
  const server = http.createServer((request, response) => {
    const { pathname, search } = new URL(request.url, 'http://localhost');
    if (pathname === '/') {
      response.setHeader('content-type', 'text/html').end(PAGE);
    } else if (pathname === '/favicon.ico') {
      response.writeHead(204).end();
    } else if (pathname === '/job.json') {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(job));
    } else if (pathname.startsWith('/prometheus/')) {
      relay(prometheus.replace(/\/$/, '') + pathname.slice('/prometheus'.length) + search, response);
    } else {
      sendFile(fileOf(pathname, bundle), response);
    }
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function fileOf(pathname, bundle) {
  if (pathname === '/main.js' || pathname === '/main.css') {
    return path.join(path.dirname(bundle), pathname);
  }
  const icon = /^\/public\/build\/img\/icons\/((?:custom|mono|solid|unicons)\/[\w-]+\.svg)$/.exec(pathname);
  if (icon) {
    return path.join(ui, icon[1]);
  }
  const font = pathname.replace('/public/fonts/', '');
  if (font.startsWith('roboto/')) {
    return path.join(mono, 'roboto-mono-latin-400-normal.woff2');
  }
  return FONTS[font] && path.join(...FONTS[font]);
}

function sendFile(file, response) {
  if (!file || !existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream');
  createReadStream(file).pipe(response);
}

async function relay(url, response) {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    response.setHeader('content-type', 'application/json').end(await answer.text());
  } catch (error) {
    response.end(JSON.stringify({ status: 'error', errorType: 'proxy', error: `${url}: ${error.cause ?? error}` }));
  }
}
