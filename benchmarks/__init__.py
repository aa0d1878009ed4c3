"""Measurements; never imported by the runtime, never part of the wheel."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
