"""Measurements; never imported by the runtime, never part of the wheel."""
