"""The decoder against `transformers` and llama.cpp's tokenizer, on the same weights."""

import os

import pytest
from tests.models.conftest import LLAMA, QWEN2

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from breeder.errors import ConfigError  # noqa: E402
from breeder.models import load  # noqa: E402
from breeder.models.files import read_folder, write_folder  # noqa: E402
from breeder.proposers.llm.local.folder import resolve  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.timeout(600),
]

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}  # of float32 logits between 1 and 40
TEXT = (
    "def area(radius):\n    # Größe 12345\n    return 3.14159 * radius ** 2\n\n\nprint(area(2))\n"
)


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not installed")


def test_transformers_computes_what_a_written_folder_says(decoder, tokens, tmp_path, transformers):
    write_folder(decoder, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(decoder(tokens), theirs(tokens).logits, **TOLERANCE)


@pytest.mark.parametrize("config", [LLAMA, QWEN2], ids=["llama", "qwen2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_folder_that_transformers_wrote_computes_the_same(
    config, tokens, dtype, tmp_path, transformers
):
    theirs = transformers.AutoModelForCausalLM.from_config(
        transformers.AutoConfig.for_model(**config.to_huggingface())
    ).to(dtype)
    theirs.save_pretrained(tmp_path, max_shard_size="40KB")
    ours = read_folder(tmp_path, dtype)
    assert (tmp_path / "model.safetensors.index.json").is_file()
    assert ours.config == config
    wide = {"rtol": 0.05, "atol": 0.02} if dtype == torch.bfloat16 else TOLERANCE
    with torch.inference_mode():
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, **wide)


@pytest.fixture(scope="module", params=["smollm2-135m", "qwen2.5-coder-0.5b"])
def pulled(request):
    try:
        return resolve(request.param)
    except ConfigError as error:
        pytest.skip(str(error))


def test_a_pulled_gguf_file_computes_what_transformers_does(pulled, transformers):
    pytest.importorskip("gguf", reason="gguf is not installed")
    options = {
        "gguf_file": os.path.basename(pulled),
        "quantization_config": transformers.GgufConfig(dequantize=True),
        "dtype": torch.float32,
    }
    theirs = transformers.AutoModelForCausalLM.from_pretrained(pulled.parent, **options)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        pulled.parent, gguf_file=options["gguf_file"]
    )
    ours = load(pulled)
    ids = ours.tokenizer.encode(TEXT)
    assert ids == tokenizer(TEXT, add_special_tokens=False).input_ids
    assert ours.tokenizer.decode(ids) == TEXT
    rows = torch.tensor([ids])
    with torch.inference_mode():
        torch.testing.assert_close(ours.decoder(rows), theirs(rows).logits, rtol=1e-3, atol=2e-3)
