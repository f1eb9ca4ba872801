"""`manage.py check` against the same command of a bare Django project, in turns; and what it imports.

python -m benchmarks.start
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "peft", "datasets", "openai", "numpy", "bitsandbytes")


def seconds(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name)
        subprocess.run([sys.executable, "-m", "django", "startproject", "bare", name], check=True)
        check = [sys.executable, "manage.py", "check"]
        times = [(seconds(check, ROOT), seconds(check, bare)) for _ in range(11)]
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"manage.py check: ours {ours:.2f} s, a bare project's {theirs:.2f} s, ratio {ours / theirs:.2f} (at most 2)")
    code = f"import sys; sys.argv = ['manage.py', 'check']; import manage; manage.main(); print([m for m in {HEAVY} if m in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ, check=True
    )
    print(f"heavy packages imported: {told.stdout.splitlines()[-1]}")


if __name__ == "__main__":
    main()
