"""The operators of domain "minilm" as ONNX functions, and their nodes in a graph.

Where onnxruntime has no native library, it puts these bodies in place of the nodes: they give the
native operators' numbers up to float rounding. docs/operators.md defines both.
"""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import parser

DOMAIN = "minilm"
HEAD = '<domain: "minilm", opset_import: ["" : 17, "com.microsoft" : 1, "minilm" : 1]>\n'

# Values to codes of which the largest is `top`, on one scale along some axes; and what that code is
# worth.
CODED = """
Coded <axes, top> (values) => (codes, largest)
{
  size = Abs(values)
  reached = ReduceMax <axes : ints = @axes, keepdims = 1> (size)
  least = Constant <value_float = 1e-6> ()
  largest = Max(reached, least)
  most = Constant <value_float : float = @top> ()
  factor = Div(most, largest)
  scaled = Mul(values, factor)
  codes = Round(scaled)
}
"""
# Rows to bytes, and what a code is worth in each row.
ROW_CODES = """
RowCodes (rows) => (codes, scale)
{
  whole, largest = minilm.Coded <axes = [-1], top = 127.0> (rows)
  middle = Constant <value_float = 128.0> ()
  moved = Add(whole, middle)
  codes = Cast <to = 2> (moved)
  share = Constant <value = float {0.007874015718698502}> ()
  scale = Mul(largest, share)
}
"""
# Packed weights as a matrix, (inputs, outputs).
UNPACK = """
Unpack (packed, scale) => (weights)
{
  turned = Transpose <perm = [1, 3, 0, 2]> (packed)
  outputs = Shape(scale)
  rest = Constant <value_ints = [-1]> ()
  shape = Concat <axis = 0> (rest, outputs)
  weights = Reshape(turned, shape)
}
"""
# Rows to rows through int8 weights.
MAP = """
Map (rows, packed, scale, bias) => (out)
{
  codes, worth = minilm.RowCodes(rows)
  weights = minilm.Unpack(packed, scale)
  one = Constant <value_float = 1.0> ()
  zero = Constant <value = uint8 {128}> ()
  product = com.microsoft.MatMulIntegerToFloat(codes, weights, one, scale, zero)
  scaled = Mul(product, worth)
  out = Add(scaled, bias)
}
"""
EMBEDDINGS = """
Embeddings <epsilon, padding> (ids, words, scale, places, gain, shift) => (hidden)
{
  codes = Gather(words, ids)
  worth = Gather(scale, ids)
  last = Constant <value_ints = [2]> ()
  column = Unsqueeze(worth, last)
  values = Cast <to = 1> (codes)
  scaled = Mul(values, column)
  PLACES
  sum = Add(scaled, used)
  hidden = LayerNormalization <axis = -1, epsilon : float = @epsilon> (sum, gain, shift)
}
"""
EVERY_PLACE = """
  begin = Constant <value_ints = [0]> ()
  tokens = Shape <start = 1, end = 2> (ids)
  used = Slice(places, begin, tokens, begin)
"""
# The padding token has the first place, wherever it stands, and is not counted.
COUNTED_PLACES = """
  token = Constant <value_int : int = @padding> ()
  same = Equal(ids, token)
  other = Not(same)
  counts = Cast <to = 7> (other)
  across = Constant <value_int = 1> ()
  count = CumSum(counts, across)
  number = Mul(count, counts)
  used = Gather(places, number)
"""
SELF_ATTENTION = """
SelfAttention <heads, epsilon> (
  hidden, project_weight, project_scale, project_bias, output_weight, output_scale, output_bias,
  residual, gain, shift DISTANCE_INPUT
) => (out)
{
  projected = minilm.Map(hidden, project_weight, project_scale, project_bias)
  same = Constant <value_ints = [0, 0]> ()
  count = Constant <value_int : int = @heads> ()
  first = Constant <value_ints = [0]> ()
  counts = Unsqueeze(count, first)
  three = Constant <value_ints = [3, -1]> ()
  shape = Concat <axis = 0> (same, counts, three)
  split = Reshape(projected, shape)
  turned = Transpose <perm = [3, 0, 2, 1, 4]> (split)
  queries_, keys_, values_ = Split <axis = 0> (turned)
  queries = Squeeze(queries_, first)
  keys = Squeeze(keys_, first)
  values = Squeeze(values_, first)

  query_codes, query_largest = minilm.Coded <axes = [-1], top = 127.0> (queries)
  key_codes, key_largest = minilm.Coded <axes = [-2, -1], top = 127.0> (keys)
  value_codes, value_largest = minilm.Coded <axes = [-2, -1], top = 2047.0> (values)
  value_top = Constant <value_float = 2047.0> ()

  columns = Transpose <perm = [0, 1, 3, 2]> (key_codes)
  products = MatMul(query_codes, columns)
  both = Mul(query_largest, key_largest)
  width = Shape <start = 3, end = 4> (queries)
  width_float = Cast <to = 1> (width)
  root = Sqrt(width_float)
  unit = Constant <value_float = 8.944727143675e-05> ()
  base = Div(unit, root)
  worth = Mul(both, base)
  plain = Mul(products, worth)
  DISTANCE
  highest = ReduceMax <axes = [-1], keepdims = 1> (scores)
  below = Sub(scores, highest)
  lengths = Constant <value_ints = [256, 512, 1024, 2048, 4096]> ()
  tokens = Shape <start = 1, end = 2> (hidden)
  beyond = Greater(tokens, lengths)
  counted = Cast <to = 1> (beyond)
  halvings = ReduceSum <keepdims = 0> (counted)
  most = Constant <value_float = 11.999648> ()
  largest_share = Sub(most, halvings)
  raised = Add(below, largest_share)
  two = Constant <value_float = 2.0> ()
  powers = Pow(two, raised)
  shares = Round(powers)
  last = Constant <value_ints = [-1]> ()
  total = ReduceSum <keepdims = 1> (shares, last)
  mixed = MatMul(shares, value_codes)
  step = Div(value_largest, value_top)
  share_worth = Div(step, total)
  mix = Mul(mixed, share_worth)
  rows = Transpose <perm = [0, 2, 1, 3]> (mix)
  shape_out = Constant <value_ints = [0, 0, -1]> ()
  context = Reshape(rows, shape_out)

  added = minilm.Map(context, output_weight, output_scale, output_bias)
  kept = Mul(hidden, residual)
  sum = Add(added, kept)
  out = LayerNormalization <axis = -1, epsilon : float = @epsilon> (sum, gain, shift)
}
"""
NO_DISTANCE = "scores = Identity(plain)"
# Entry places - 1 + j - i of a head's row is added to the score of token j for token i.
DISTANCE = """
  entries = Shape <start = 1, end = 2> (distance)
  one_more = Constant <value_ints = [1]> ()
  two_whole = Constant <value_ints = [2]> ()
  entries_up = Add(entries, one_more)
  positions = Div(entries_up, two_whole)
  middle = Sub(positions, one_more)
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  token_count = Shape <start = 1, end = 2> (hidden)
  token_number = Squeeze(token_count, first)
  order = Range(zero, token_number, one)
  across = Unsqueeze(order, first)
  second = Constant <value_ints = [1]> ()
  down = Unsqueeze(order, second)
  apart = Sub(across, down)
  places = Add(apart, middle)
  near = Gather <axis = 1> (distance, places)
  scores = Add(plain, near)
"""
FEED_FORWARD = """
FeedForward <epsilon, steps> (
  hidden, up_weight, up_scale, up_bias, down_weight, down_scale, down_bias, residual, gain, shift
) => (out)
{
  wide = minilm.Map(hidden, up_weight, up_scale, up_bias)
  active = com.microsoft.Gelu(wide)
  in_one = Constant <value_float : float = @steps> ()
  scaled = Mul(active, in_one)
  rounded = Round(scaled)
  lowest = Constant <value_float = -32768.0> ()
  highest = Constant <value_float = 32767.0> ()
  whole = Clip(rounded, lowest, highest)
  largest = ReduceMax <axes = [-1], keepdims = 1> (whole)
  nothing = Constant <value_float = 0.0> ()
  positive = Max(largest, nothing)
  least = Constant <value_float = 0.17> ()
  low_ = Mul(least, in_one)
  low = Ceil(low_)
  reach = Add(positive, low)
  reach_int = Cast <to = 6> (reach)
  range = Constant <value = int32 {8355840}> ()
  exact = Div(range, reach_int)
  limit = Constant <value = int32 {32767}> ()
  factor_int = Min(exact, limit)
  factor = Cast <to = 1> (factor_int)
  share = Constant <value_float = 0.000030517578125> ()
  half = Constant <value_float = 0.5> ()
  zero_factor = Mul(low, factor)
  zero_share = Mul(zero_factor, share)
  zero_half = Add(zero_share, half)
  zero = Floor(zero_half)
  step_factor = Mul(whole, factor)
  step_share = Mul(step_factor, share)
  step_half = Add(step_share, half)
  step_whole = Floor(step_half)
  moved = Add(step_whole, zero)
  byte = Constant <value_float = 255.0> ()
  inside = Clip(moved, nothing, byte)
  codes = Cast <to = 2> (inside)

  weights = minilm.Unpack(down_weight, down_scale)
  products = MatMulInteger(codes, weights)
  weights_int = Cast <to = 6> (weights)
  first = Constant <value_ints = [0]> ()
  sums = ReduceSum <keepdims = 0> (weights_int, first)
  zero_int = Cast <to = 6> (zero)
  moved_sums = Mul(sums, zero_int)
  sum_int = Sub(products, moved_sums)
  sum_float = Cast <to = 1> (sum_int)
  factor_steps = Mul(factor, in_one)
  full = Constant <value_float = 32768.0> ()
  worth = Div(full, factor_steps)
  row_scaled = Mul(sum_float, worth)
  column_scaled = Mul(row_scaled, down_scale)
  added = Add(column_scaled, down_bias)
  kept = Mul(hidden, residual)
  sum = Add(added, kept)
  out = LayerNormalization <axis = -1, epsilon : float = @epsilon> (sum, gain, shift)
}
"""


def functions(distance: bool, padding: bool) -> list[onnx.FunctionProto]:
    """Give the functions of a model.

    Args:
        distance: whether attention adds something for the distance of two tokens.
        padding: whether a token takes no position.
    """
    attention = SELF_ATTENTION.replace("DISTANCE_INPUT", ", distance" if distance else "")
    attention = attention.replace("DISTANCE", DISTANCE if distance else NO_DISTANCE)
    embeddings = EMBEDDINGS.replace("PLACES", COUNTED_PLACES if padding else EVERY_PLACE)
    texts = (CODED, ROW_CODES, UNPACK, MAP, embeddings, attention, FEED_FORWARD)
    return [parser.parse_function(HEAD + text) for text in texts]


def pack(codes: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Arrange weights, (inputs, outputs), as the kernels read them.

    Returns:
        (outputs / 16, inputs / 4, 16, 4) int8.
    """
    inputs, outputs = codes.shape
    panels = codes.T.reshape(outputs // 16, 16, inputs // 4, 4)
    return np.ascontiguousarray(panels.transpose(0, 2, 1, 3))
