"""dense.npz: what is read back, and what is refused in little memory."""

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError
from minilm_onnx.engine.dense import MOST, Dense, read_dense, save_dense, tanh

WIDTH = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dense.npz"


def a_map(inner: int, outer: int, activation: str = "tanh") -> Dense:
    random = np.random.default_rng(0)
    weight, bias = random.random((inner, outer)), random.random(outer)
    return Dense(weight.astype(np.float32), bias.astype(np.float32), activation)


def header(*shape: int, kind: str = "<f4") -> bytes:
    """What an .npy file begins with."""
    out = io.BytesIO()
    fields = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, fields)
    return out.getvalue()


def archive(path: Path, compression: int = zipfile.ZIP_STORED, **arrays: bytes) -> None:
    activation = io.BytesIO()
    np.save(activation, np.array("identity"))
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, data in {"activation0": activation.getvalue(), **arrays}.items():
            made.writestr(f"{name}.npy", data)


def savez(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, activation0=np.array("tanh"), **arrays)


def test_maps_are_read_as_they_were_saved(path: Path) -> None:
    turned = a_map(5, 4)
    turned = Dense(np.asfortranarray(turned.weight), turned.bias, "identity")
    saved = [a_map(WIDTH, 5), turned]
    save_dense(path, saved)
    for found, expected in zip(read_dense(path, WIDTH), saved, strict=True):
        assert found.activation == expected.activation
        np.testing.assert_array_equal(found.weight, expected.weight)
        np.testing.assert_array_equal(found.bias, expected.bias)


def test_maps_of_another_width_are_refused(path: Path) -> None:
    save_dense(path, [a_map(WIDTH, 5), a_map(4, 4)])
    with pytest.raises(ArtifactError, match=r"tanh of \(4, 4\) after 5 components"):
        read_dense(path, WIDTH)
    save_dense(path, [a_map(WIDTH, 5, "relu")])
    with pytest.raises(ArtifactError, match="relu of"):
        read_dense(path, WIDTH)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_archive(path: Path) -> None:
    path.write_bytes(b"PK\3\4" + bytes(300))


def single_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros((WIDTH, 4), np.float32))


def huge(path: Path) -> None:
    save_dense(path, [a_map(WIDTH, 4)])
    with path.open("r+b") as file:
        file.truncate(MOST + 1)


def announced(path: Path) -> None:
    archive(path, weight0=header(WIDTH, 2**40), bias0=header(2**40))


def negative(path: Path) -> None:
    archive(path, weight0=header(-WIDTH, -1) + bytes(32), bias0=header(1) + bytes(4))


def packed(path: Path) -> None:
    zeros = bytes(4 * WIDTH * 2**15)
    arrays = {"weight0": header(WIDTH, 2**15) + zeros, "bias0": header(2**15) + zeros[: 4 * 2**15]}
    archive(path, zipfile.ZIP_DEFLATED, **arrays)


def pickled(path: Path) -> None:
    arrays = {"weight0": np.array([print], dtype=object), "bias0": np.zeros(1, np.float32)}
    savez(path, arrays)


def of_texts(path: Path) -> None:
    arrays = {"weight0": np.full((WIDTH, 4), "x"), "bias0": np.full(4, "x")}
    savez(path, arrays)


def of_another_axis(path: Path) -> None:
    arrays = {"weight0": np.zeros((WIDTH, 4, 1), "f4"), "bias0": np.zeros((4, 1), "f4")}
    savez(path, arrays)


def of_no_width(path: Path) -> None:
    archive(path, weight0=header(WIDTH, 0), bias0=header(0))


def named_otherwise(path: Path) -> None:
    np.savez(path, weight=np.zeros((WIDTH, 4), "f4"))


def of_nothing(path: Path) -> None:
    np.savez(path)


def many(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for place in range(1000):
            made.writestr(f"weight{place}.npy", b"")


def commented(path: Path) -> None:
    save_dense(path, [a_map(WIDTH, 4)])
    with zipfile.ZipFile(path, "a") as made:
        made.comment = b"more"


@pytest.mark.parametrize(
    "make",
    [
        empty,
        no_archive,
        single_array,
        huge,
        announced,
        negative,
        packed,
        pickled,
        of_texts,
        of_nothing,
        of_another_axis,
        of_no_width,
        named_otherwise,
        many,
        commented,
    ],
)
def test_what_is_no_file_of_maps_is_refused_in_a_line(
    path: Path, make: Callable[[Path], None]
) -> None:
    make(path)
    with pytest.raises(ArtifactError, match=r"dense\.npz: expected") as refused:
        read_dense(path, WIDTH)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 600


def test_any_damaged_byte_is_refused_or_harmless(path: Path) -> None:
    save_dense(path, [a_map(WIDTH, 4)])
    whole = path.read_bytes()
    expected = read_dense(path, WIDTH)[0]
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            found = read_dense(path, WIDTH)[0]
        except ArtifactError:
            continue
        assert np.array_equal(found.weight, expected.weight), place
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            read_dense(path, WIDTH)


def test_what_is_packed_takes_no_memory(path: Path) -> None:
    """A thousand times less is there than it says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, start in (("weight0", header(WIDTH, 2**23)), ("bias0", header(2**23))):
            with made.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(start)
                for _ in range(WIDTH if name == "weight0" else 1):
                    member.write(bytes(4 * 2**23))
    program = f"""
from pathlib import Path
from minilm_onnx.measure.memory import peak_rss_mib
from minilm_onnx.engine.dense import read_dense
from minilm_onnx import ArtifactError
before = peak_rss_mib()
try:
    read_dense(Path({str(path)!r}), {WIDTH})
except ArtifactError:
    print(peak_rss_mib() - before)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert path.stat().st_size < 2**20
    assert float(found.stdout) < 64, found.stderr


def test_a_map_has_the_same_bits_in_any_company_and_on_every_cpu() -> None:
    numbers = np.arange((64 + 3) * 48, dtype=np.uint64) * 2654435761 % 2**32
    floats = (numbers.astype(np.float64) / 2**31 - 1).astype(np.float32).reshape(-1, 48)
    dense = Dense(floats[:48], floats[48], "tanh")
    vectors = floats[49:]
    found = dense(vectors)
    for place in range(len(vectors)):
        assert dense(vectors[place : place + 1]).tobytes() == found[place : place + 1].tobytes()
    exact = np.tanh(vectors.astype(np.float64) @ dense.weight + dense.bias)
    assert np.abs(found - exact).max() < 1e-6
    assert hashlib.sha256(found.astype("<f4").tobytes()).hexdigest()[:16] == "ac2dd464880e6f9f"


def test_tanh_is_as_near_as_float32_can_tell() -> None:
    values = np.linspace(-12, 12, 200_001).astype(np.float32)
    assert np.abs(tanh(values) - np.tanh(values.astype(np.float64))).max() < 3e-8
    extremes = np.array([0, -0.0, np.inf, -np.inf, 1e-30], dtype=np.float32)
    np.testing.assert_array_equal(tanh(extremes), np.tanh(extremes))
