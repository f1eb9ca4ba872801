from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from classifiers.sources import PromptSource
from moderation.services import Choice
from runs import services
from runs.configuration import Configuration
from runs.models import Run

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def prompts_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes texts as a JSONL file of prompts."""

    def write(texts: Sequence[str], **metadata: Any) -> Path:
        path = tmp_path / f"prompts{len(list(tmp_path.iterdir()))}.jsonl"
        path.write_text("".join(json.dumps({"prompt": text, **metadata}) + "\n" for text in texts))
        return path

    return write


@pytest.fixture
def make_run(prompts_file: Callable[..., Path], db: None) -> Callable[..., Run]:
    """A run over the texts, judged and answered by the fakes unless told otherwise; not worked on yet."""

    def make(
        texts: Sequence[str],
        *,
        check: str = "fake",
        generator: str | None = "fake",
        output: str | None = "fake",
        batch_size: int = 4,
        reuse_verdicts: bool = False,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> Run:
        configuration = Configuration(
            source=PromptSource(str(prompts_file(texts, **metadata or {})), limit=0),
            input_checks=(Choice(check),),
            generator=Choice(generator) if generator else None,
            output_checks=(Choice(output),) if generator and output else (),
            batch_size=batch_size,
            reuse_verdicts=reuse_verdicts,
        )
        return services.create_run(configuration, actor="test", **options)

    return make


@pytest.fixture
def done_run(make_run: Callable[..., Run]) -> Callable[..., Run]:
    """The same, worked on to its end."""

    def make(texts: Sequence[str], **options: Any) -> Run:
        run = make_run(texts, **options)
        for _ in services.execute_run(run, actor="test"):
            pass
        run.refresh_from_db()
        return run

    return make


@pytest.fixture
def manage(transactional_db: None) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``manage.py`` in a process of its own, on the test database, with the fake providers."""

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env={**os.environ, "AI_SAFETY_MONITOR_DB": test_database_url(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )

    return start


def test_database_url() -> str:
    """The address of the database that the tests write to, for processes that they start."""
    where = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{where['NAME']}"
    host = f"?host={where['HOST']}&user={where['USER']}&password={where['PASSWORD']}&port={where['PORT'] or 5432}"
    return f"postgresql:///{where['NAME']}{host}"


test_database_url.__test__ = False  # type: ignore[attr-defined]
