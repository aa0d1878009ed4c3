"""Embedding on many machines with Ray Data: `pip install '.[ray]'`.

`Embed` is a class for `Dataset.map_batches`, whose workers check that they compute the same bits;
`embed_files` is `minilm-onnx embed --engine ray`. The model is inside the package, so that a
machine that has it installed downloads nothing.
https://docs.ray.io/en/latest/data/data.html
"""

from minilm_onnx.integrations import needing

with needing("ray"):
    from minilm_onnx.integrations.ray.batches import Embed
    from minilm_onnx.integrations.ray.files import Summary, embed_files

__all__ = ["Embed", "Summary", "embed_files"]
