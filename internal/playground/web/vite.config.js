import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, '..', 'dist');

export default defineConfig({
  base: './',
  resolve: {
    alias: { 'monaco-graphql/esm/monaco-editor.js': path.join(here, 'src/monaco.js') },
  },
  build: {
    outDir: dist,
    emptyOutDir: true,
    assetsDir: 'playground',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    chunkSizeWarningLimit: 4096,
    rolldownOptions: {
      // "use client" is for servers that render React; there is none here.
      onwarn: (warning, warn) => warning.code === 'MODULE_LEVEL_DIRECTIVE' || warn(warning),
    },
  },
  plugins: [licences(), compressed(), provenance()],
});

// licences writes the licence of every package that is in the bundle beside it.
function licences() {
  const packages = new Map();
  return {
    name: 'licences',
    generateBundle() {
      for (const id of this.getModuleIds()) {
        const found = /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id);
        if (found) packages.set(found[1].replace(/^\0/, ''), null);
      }
      const texts = [...packages.keys()].sort().flatMap((folder) => {
        const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
        const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
        const text = file ? readFileSync(path.join(folder, file), 'utf8').trim() : '';
        return [`${manifest.name} ${manifest.version} (${manifest.license})\n\n${text}\n`];
      });
      this.emitFile({ type: 'asset', fileName: 'playground/licences.txt', source: texts.join(`\n${'-'.repeat(72)}\n\n`) });
    },
  };
}

// compressed leaves the page as it is, for the server to fill in, and everything else
// only as gzip.
function compressed() {
  return {
    name: 'compressed',
    closeBundle() {
      const folder = path.join(dist, 'playground');
      for (const name of readdirSync(folder)) {
        if (name.endsWith('.gz')) continue;
        const file = path.join(folder, name);
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: constants.Z_BEST_COMPRESSION }));
        rmSync(file);
      }
    },
  };
}

// provenance notes what the build was made from, so that a test without Node can tell
// when the sources were changed and the build was not.
function provenance() {
  return {
    name: 'provenance',
    closeBundle() {
      const sources = ['index.html', 'package-lock.json', 'vite.config.js', ...readdirSync(path.join(here, 'src')).map((name) => `src/${name}`)];
      const hash = createHash('sha256');
      for (const name of sources.sort()) {
        hash.update(`${name}\0`).update(readFileSync(path.join(here, name))).update('\0');
      }
      writeFileSync(path.join(dist, 'sources.sha256'), `${hash.digest('hex')}\n`);
    },
  };
}
