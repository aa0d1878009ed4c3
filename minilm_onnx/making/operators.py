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
# Rows to bytes, each with its own scale and zero point: one operator does what six would.
BYTES = """
Bytes (rows, scale, zero) => (codes)
{
  flat = Flatten <axis = 2> (rows)
  line = Constant <value_ints = [-1]> ()
  scales = Reshape(scale, line)
  zeros = Reshape(zero, line)
  bytes = QuantizeLinear <axis = 0> (flat, scales, zeros)
  shape = Shape(rows)
  codes = Reshape(bytes, shape)
}
"""
# Rows to bytes of which 128 is nothing, and what a code is worth in each row.
ROW_CODES = """
RowCodes (rows) => (codes, scale)
{
  size = Abs(rows)
  reached = ReduceMax <axes = [-1], keepdims = 1> (size)
  least = Constant <value_float = 1e-6> ()
  largest = Max(reached, least)
  share = Constant <value = float {0.007874015718698502}> ()
  scale = Mul(largest, share)
  each = Shape(scale)
  zero = ConstantOfShape <value = uint8[1] {128}> (each)
  codes = minilm.Bytes(rows, scale, zero)
}
"""
# Packed weights as a matrix, (inputs, outputs).
UNPACK = """
Unpack (packed, scale) => (weights)
{
  inputs_out = Transpose <perm = [0, 3, 1, 2]> (packed)
  turned = Transpose <perm = [2, 1, 0, 3]> (inputs_out)
  outputs = Shape(scale)
  rest = Constant <value_ints = [-1]> ()
  shape = Concat <axis = 0> (rest, outputs)
  weights = Reshape(turned, shape)
}
"""
# Whether texts are so short that their codes have two bytes.
FEW = """
Few <fine> (rows) => (few)
{
  tokens = Shape <start = 1, end = 2> (rows)
  most = Constant <value_int : int = @fine> ()
  few = LessOrEqual(tokens, most)
}
"""
# Products of codes; where these have two bytes, the products of the second lie behind the others.
JOINED = """
Joined <lower> (few, products) => (joined)
{
  share = Constant <value_float : float = @lower> ()
  joined = If (few) <
    then_branch = both () => (whole) {
      first, second = Split <axis = 0> (products)
      rest = Mul(second, share)
      whole = Add(first, rest)
    },
    else_branch = one () => (alone) { alone = Identity(products) }
  >
}
"""
# Rows to rows through int8 weights.
MAP = """
Map <fine> (rows, packed, scale, bias) => (out)
{
  codes, worth = minilm.RowCodes(rows)
  few = minilm.Few <fine : int = @fine> (rows)
  one = Constant <value_float = 1.0> ()
  zero = Constant <value = uint8 {128}> ()
  all = If (few) <
    then_branch = both () => (two) {
      half = Constant <value_float = 128.0> ()
      moved = Cast <to = 1> (codes)
      first = Sub(moved, half)
      exact = Div(rows, worth)
      left = Sub(exact, first)
      parts = Mul(left, half)
      second = QuantizeLinear(parts, one, zero)
      two = Concat <axis = 0> (codes, second)
    },
    else_branch = once () => (alone) { alone = Identity(codes) }
  >
  weights = minilm.Unpack(packed, scale)
  products = com.microsoft.MatMulIntegerToFloat(all, weights, one, scale, zero)
  product = minilm.Joined <lower = 0.0078125> (few, products)
  scaled = Mul(product, worth)
  out = Add(scaled, bias)
}
"""
# The same, of rows that have wide channels.
WIDE_MAP = """
WideMap <fine> (rows, packed, scale, bias, channels, wide) => (out)
{
  width = Shape <start = 2, end = 3> (rows)
  count = Shape(channels)
  ones = ConstantOfShape <value = float[1] {1.0}> (width)
  zeros = ConstantOfShape <value = float[1] {0.0}> (count)
  others = ScatterElements(ones, channels, zeros)
  ordinary = Mul(rows, others)
  mapped = minilm.Map <fine : int = @fine> (ordinary, packed, scale, bias)
  apart = Gather <axis = 2> (rows, channels)
  more = MatMul(apart, wide)
  out = Add(mapped, more)
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
SelfAttention <heads, fine, epsilon> (
  hidden, project_weight, project_scale, project_bias, output_weight, output_scale, output_bias,
  residual, gain, shift, channels, wide DISTANCE_INPUT
) => (out)
{
  projected = minilm.WideMap <fine : int = @fine> (
    hidden, project_weight, project_scale, project_bias, channels, wide
  )
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
  both = Mul(query_largest, key_largest)
  width = Shape <start = 3, end = 4> (queries)
  width_float = Cast <to = 1> (width)
  root = Sqrt(width_float)
  unit = Constant <value_float = 6.2000124e-05> ()
  base = Div(unit, root)
  worth = Mul(both, base)
  query_worth = Mul(query_codes, worth)
  plain = MatMul(query_worth, columns)
  DISTANCE
  highest = ReduceMax <axes = [-1], keepdims = 1> (scores)
  lengths = Constant <value_ints = [256, 512, 1024, 2048, 4096]> ()
  tokens = Shape <start = 1, end = 2> (hidden)
  beyond = Greater(tokens, lengths)
  counted = Cast <to = 1> (beyond)
  halvings = ReduceSum <keepdims = 0> (counted)
  most = Constant <value_float = 11.999648> ()
  largest_share = Sub(most, halvings)
  ln2 = Constant <value_float = 0.6931471805599453> ()
  largest_log = Mul(largest_share, ln2)
  offset = Sub(highest, largest_log)
  raised = Sub(scores, offset)
  powers = Exp(raised)
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

  added = minilm.Map <fine : int = @fine> (context, output_weight, output_scale, output_bias)
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
  log2 = Constant <value_float = 0.6931471805599453> ()
  natural = Mul(distance, log2)
  near = Gather <axis = 1> (natural, places)
  scores = Add(plain, near)
"""
FEED_FORWARD = """
FeedForward <epsilon, steps, fine> (
  hidden, up_weight, up_scale, up_bias, down_weight, down_scale, down_bias, residual, gain, shift,
  channels, wide
) => (out)
{
  raised = minilm.WideMap <fine : int = @fine> (
    hidden, up_weight, up_scale, up_bias, channels, wide
  )
  active = com.microsoft.Gelu(raised)
  in_one = Constant <value_float : float = @steps> ()
  step = Reciprocal(in_one)
  none_short = Constant <value = int16 {0}> ()
  short = com.microsoft.QuantizeLinear(active, step, none_short)
  whole = Cast <to = 1> (short)
  few = minilm.Few <fine : int = @fine> (hidden)
  codes, zero_int, code_steps = If (few) <
    then_branch = halves () => (two, middle, steps_high) {
      most = Constant <value_float = 32639.0> ()
      at_most = Min(whole, most)
      steps_high = Constant <value_float = 256.0> ()
      offset = Constant <value_float = 128.0> ()
      up_half = Add(at_most, offset)
      high_exact = Div(up_half, steps_high)
      high = Floor(high_exact)
      high_steps = Mul(high, steps_high)
      second = Sub(up_half, high_steps)
      first = Add(high, offset)
      both = Concat <axis = 0> (first, second)
      two = Cast <to = 2> (both)
      middle = Constant <value = int32 {128}> ()
    },
    else_branch = once () => (one, zero_whole, steps_code) {
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
      full = Constant <value_float = 32768.0> ()
      steps_code = Div(full, factor)
      zero_byte = Cast <to = 2> (zero)
      one = minilm.Bytes(whole, steps_code, zero_byte)
      zero_whole = Cast <to = 6> (zero)
    }
  >

  weights = minilm.Unpack(down_weight, down_scale)
  products = MatMulInteger(codes, weights)
  ones_shape = Shape <start = 0, end = 1> (weights)
  ones = ConstantOfShape <value = uint8[1] {1}> (ones_shape)
  sums = MatMulInteger(ones, weights)
  moved_sums = Mul(sums, zero_int)
  sum_int = Sub(products, moved_sums)
  sums_float = Cast <to = 1> (sum_int)
  sum_float = minilm.Joined <lower = 0.00390625> (few, sums_float)
  worth = Mul(code_steps, step)
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
    texts = (
        *(CODED, BYTES, ROW_CODES, UNPACK, FEW, JOINED, MAP, WIDE_MAP),
        *(embeddings, attention, FEED_FORWARD),
    )
    return [parser.parse_function(HEAD + text) for text in texts]


def pack(codes: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Arrange weights, (inputs, outputs), as the kernels read them.

    Returns:
        (outputs / 16, inputs / 4, 16, 4) int8.
    """
    inputs, outputs = codes.shape
    panels = codes.T.reshape(outputs // 16, 16, inputs // 4, 4)
    return np.ascontiguousarray(panels.transpose(0, 2, 1, 3))
