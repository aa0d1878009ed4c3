"""Why all-MiniLM-L6-v2 does not work for Chinese, shown with five pairs of sentences.

    pip install .
    python examples/unreadable.py

The model was trained on English. Its vocabulary has few Chinese characters, and all others become
the same token, [UNK]. So texts of the same length get similar vectors, whatever they mean. For
Chinese, use a model trained on it, such as paraphrase-multilingual-MiniLM-L12-v2 or
bge-small-zh-v1.5.
"""

import warnings

from minilm_onnx import SentenceEncoder

PAIRS = (
    ("我喜欢吃苹果", "我爱吃水果"),
    ("今天天气很好", "明天会下雨"),
    ("如何重置密码", "忘记密码怎么办"),
    ("他在学校教书", "他是一名老师"),
    ("猫在睡觉", "股票市场上涨了"),
)

encoder = SentenceEncoder()
for pair in PAIRS:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        a, b = encoder.encode(pair)
    shares = " and ".join(f"{report.unknown:.0%}" for report in encoder.inspect(pair))
    score = encoder.similarity(a, b)[0, 0]
    print(f"{score:.4f}  {pair[0]} / {pair[1]}: {shares} of the tokens are unknown")
    for warning in caught:
        print(f"        {warning.message}")
