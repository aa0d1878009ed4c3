"""python -m minilm_onnx: the same as the command minilm-onnx."""

import sys

from minilm_onnx.cli import main

sys.exit(main())
