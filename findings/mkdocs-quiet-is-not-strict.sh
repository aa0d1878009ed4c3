#!/usr/bin/env bash
# mkdocs 1.6.1: `mkdocs build --strict --quiet` succeeds where `mkdocs build --strict` fails: --quiet
# drops warnings before they are counted. So a build that has to find dead links may not be quiet.
#
# Guess before the run: --quiet prints less, and the exit code is the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mkdocs==1.6.1
mkdir "$folder/docs"
cd "$folder"
printf 'site_name: x\n' > mkdocs.yml
printf '[nowhere](gone.md)\n' > docs/index.md
strict=0 quiet=0
venv/bin/mkdocs build --strict || strict=$?
venv/bin/mkdocs build --strict --quiet || quiet=$?
echo "exit code with --strict: $strict; with --strict --quiet: $quiet"
[ "$strict" = 1 ]
[ "$quiet" = 0 ]
