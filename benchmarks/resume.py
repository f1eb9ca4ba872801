"""How soon a long run goes on: from starting the command to its first newly saved results.

python -m benchmarks.resume [--done 200000]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from itertools import islice

from benchmarks.setup import ROOT, prepare

BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--done", type=int, default=200_000, help="results that the run has already")
    done = parser.parse_args().done
    folder = prepare()
    logging.disable(logging.INFO)
    from classifiers.sources import PromptSource
    from moderation.services import Choice
    from runs import services
    from runs.configuration import Configuration
    from runs.models import Result

    file = folder / "prompts.jsonl"
    with file.open("w") as stream:
        stream.writelines(json.dumps({"prompt": f"Prompt number {i}"}) + "\n" for i in range(done + 4 * BATCH))
    fake = Choice("fake")
    configuration = Configuration(PromptSource(str(file), limit=0), (fake,), fake, (fake,), batch_size=BATCH)
    run = services.create_run(configuration, actor="benchmark")
    for _ in islice(services.execute_run(run, actor="benchmark"), done // BATCH):
        pass
    services.cancel_run(run, actor="benchmark")

    started = time.perf_counter()
    command = [sys.executable, str(ROOT / "manage.py"), "run_pipeline", "--resume", str(run.pk)]
    # As on any machine that keeps compiled modules.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([*command[:2], "check"], env=env, check=True, capture_output=True)
    started = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not Result.objects.filter(run=run, position=done).exists():
        time.sleep(0.01)
    seconds = time.perf_counter() - started
    process.wait()
    print(f"A run with {done} results saved the next {BATCH} {seconds:.2f} s after the command was started (at most 2)")


if __name__ == "__main__":
    main()
