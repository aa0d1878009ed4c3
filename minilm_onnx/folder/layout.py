"""What the files of a model folder are called."""

GRAPH = "model.onnx"
WEIGHTS = "model.onnx.data"
TOKENIZER = "tokenizer.json"
MANIFEST = "manifest.json"
# What the export's reference gave, for `minilm-onnx verify`; nothing else reads it.
GOLDEN = "golden.json"
# Of a model with maps after its pooling.
DENSE = "dense.npz"
LOADED = (GRAPH, WEIGHTS, TOKENIZER)
FILES = (*LOADED, GOLDEN)
