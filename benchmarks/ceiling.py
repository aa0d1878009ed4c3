"""The machine's ceiling for int8, measured beside the engines: python -m benchmarks.ceiling N."""

import json
import sys
from dataclasses import asdict

from minilm_onnx.measure.ceiling import measure_ceiling

NAME = "ceiling"

if __name__ == "__main__":
    print(json.dumps(asdict(measure_ceiling(int(sys.argv[1])))))
