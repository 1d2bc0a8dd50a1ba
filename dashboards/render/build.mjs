// Bundles the page. Skipped while nothing in src is newer than the last bundle.
import { build } from 'esbuild';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const bundle = path.join(here, 'dist', 'main.js');

export async function buildPage() {
  if (!existsSync(bundle) || newest(path.join(here, 'src')) > statSync(bundle).mtimeMs) {
    await build({
      entryPoints: [path.join(here, 'src', 'main.tsx')],
      outfile: bundle,
      bundle: true,
      format: 'esm',
      jsx: 'automatic',
      target: 'es2022',
      define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
      loader: { '.svg': 'text', '.ttf': 'dataurl', '.woff2': 'dataurl' },
      logLevel: 'warning',
    });
  }
  return bundle;
}

function newest(folder) {
  return Math.max(
    ...readdirSync(folder, { withFileTypes: true, recursive: true }).map(
      (entry) => statSync(path.join(entry.parentPath, entry.name)).mtimeMs
    )
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildPage();
}
