#!/usr/bin/env bash
# Builds internal/playground/dist from these sources. It needs Node 20 or later; what it
# writes is committed, so that nobody else does.
set -euo pipefail
cd "$(dirname "$0")"

npm ci --no-audit --no-fund --ignore-scripts
npx vite build
du -sh ../dist
