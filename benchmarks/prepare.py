"""Convert the checkpoint for one contender: python -m benchmarks.prepare NAME CHECKPOINT FOLDER.

Runs in the environment that can convert; `benchmarks.environments` starts it.
"""

import shutil
import sys
from pathlib import Path

from benchmarks.contenders import module


def main(arguments: list[str]) -> int:
    """Write to a folder beside the target, then rename: a prepared folder is whole."""
    name, checkpoint, target = arguments[0], Path(arguments[1]), Path(arguments[2])
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    module(name).prepare(checkpoint, part)
    part.rename(target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
