"""Write the bill of materials of the wheel: python -m export.sbom [FILE].

CycloneDX 1.6, by its Python library: the package, the model files inside it by sha256, the
checkpoint they were made from, the library of native operators and what zig links into it, and the
packages that it asks pip for. No time and no chance go into it, so the same sources give the same
bytes. The wheel carries it as PEP 770 says.
"""

import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from kernels.targets import ZIG_VERSION
from minilm_onnx import __version__
from minilm_onnx.folder.artifact import load_artifact
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import FILES
from minilm_onnx.making.pins import PINS

ROOT = Path(__file__).parents[1]
SBOM = ROOT / "sbom.cdx.json"
APACHE = DisjunctiveLicense(id="Apache-2.0")
# The library writes a time, and when the same sources were read does not matter.
NO_TIME = datetime(1980, 1, 1, tzinfo=UTC)
# Of the packages that pip is asked for, as their authors state them.
LICENSES = {"numpy": "BSD-3-Clause", "onnxruntime": "MIT", "tokenizers": "Apache-2.0"}


def build_sbom() -> str:
    """Give the bill of materials as JSON."""
    manifest = load_artifact(BUNDLED).manifest
    assert manifest is not None, "the bundled folder has a manifest"
    package = Component(
        name="minilm-onnx",
        version=__version__,
        type=ComponentType.LIBRARY,
        bom_ref="minilm-onnx",
        purl=PackageURL("pypi", name="minilm-onnx", version=__version__),
        licenses=[APACHE],
    )
    pin = PINS[manifest.model_id]
    hub = f"https://huggingface.co/{manifest.model_id}"
    checkpoint = Component(
        name=manifest.model_id,
        version=manifest.revision,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="checkpoint",
        licenses=[DisjunctiveLicense(id=pin.license)],
        hashes=[sha256(manifest.weights_sha256)],
        description="The weights that the model was made from; they are not in the wheel.",
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(hub))
        ],
    )
    files = [
        Component(
            name=f"minilm_onnx/model/{name}",
            type=ComponentType.FILE,
            bom_ref=name,
            licenses=[DisjunctiveLicense(id=manifest.license)],
            hashes=[sha256(manifest.files[name])],
        )
        for name in FILES
    ]
    asked = [Requirement(line) for line in dependencies()]
    packages = [
        Component(
            name=requirement.name,
            type=ComponentType.LIBRARY,
            bom_ref=requirement.name,
            purl=PackageURL("pypi", name=requirement.name),
            licenses=[DisjunctiveLicense(id=LICENSES[requirement.name])],
            properties=[Property(name="minilm-onnx:versions", value=str(requirement.specifier))],
        )
        for requirement in asked
    ]
    library, *linked, tool = native_library()
    bom = Bom(
        components=[*files, checkpoint, library, *linked, tool, *packages],
        serial_number=uuid5(NAMESPACE_URL, f"minilm-onnx {__version__} {manifest.files}"),
        metadata=BomMetaData(component=package, timestamp=NO_TIME),
    )
    bom.register_dependency(package, [*files, library, *packages])
    bom.register_dependency(library, linked)
    for file in files:
        bom.register_dependency(file, [checkpoint])
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def native_library() -> list[Component]:
    """Give the library, what zig may link into it, and zig; a pure wheel has none of them."""
    return [
        Component(
            name="minilm_onnx/native",
            version=__version__,
            type=ComponentType.LIBRARY,
            bom_ref="native",
            licenses=[APACHE],
            description="The native operators, compiled from kernels/; not in a pure wheel.",
        ),
        Component(
            name="compiler_rt",
            version=ZIG_VERSION,
            type=ComponentType.LIBRARY,
            bom_ref="compiler_rt",
            licenses=[DisjunctiveLicense(id="MIT")],
            description="Parts of zig's, linked into the library where zig compiled it.",
        ),
        Component(
            name="mingw-w64",
            type=ComponentType.LIBRARY,
            bom_ref="mingw-w64",
            licenses=[DisjunctiveLicense(id="ZPL-2.1")],
            description=f"Parts of its C runtime, as in zig {ZIG_VERSION}; in minilm.dll alone.",
        ),
        Component(
            name="ziglang",
            version=ZIG_VERSION,
            type=ComponentType.APPLICATION,
            bom_ref="ziglang",
            scope=ComponentScope.EXCLUDED,
            purl=PackageURL("pypi", name="ziglang", version=ZIG_VERSION),
            licenses=[DisjunctiveLicense(id="MIT")],
            description="What compiles the library of a released wheel; not in the wheel.",
        ),
    ]


def sha256(digest: str) -> HashType:
    """Say which kind of digest it is."""
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def dependencies() -> list[str]:
    """Read what the package asks pip for."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: list[str] = tomllib.load(file)["project"]["dependencies"]
    return found


if __name__ == "__main__":
    (Path(sys.argv[1]) if sys.argv[1:] else SBOM).write_text(build_sbom(), "utf-8")
