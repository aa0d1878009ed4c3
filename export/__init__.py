"""Checkpoint to model folder. Never imported by the runtime, never part of the wheel."""
