"""Data sets of the Hugging Face hub, and folders that ``datasets`` can load, as rows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from classifiers.errors import InputError
from classifiers.loading import need
from classifiers.sources import PromptSource, Row, parquet_batches

SHUFFLE_BUFFER = 10_000  # rows that a streamed data set is shuffled within

_HUB_ID = re.compile(r"(?P<path>\w[\w.-]*(/\w[\w.-]*)?)(:(?P<config>[\w.-]+))?", re.ASCII)


def is_hub_id(dataset_id: str) -> bool:
    """Whether it has the form of one: ``owner/name``, or with a configuration ``owner/name:configuration``."""
    return bool(_HUB_ID.fullmatch(dataset_id))


def hub_rows(source: PromptSource) -> Iterator[Row]:
    """The rows of a data set, one at a time, shuffled if that is asked for.

    Raises InputError, in a sentence with what to do, when it cannot be reached or read.
    """
    with _hub_errors(source):
        for number, values in enumerate(_open_dataset(source), start=1):
            yield Row(f"row {number}", values)


def _open_dataset(source: PromptSource) -> Any:
    """A ``datasets`` data set: streamed when a limit is given, so that 100 rows don't download them all."""
    datasets = need("datasets", feature="Reading a data set")
    folder = source.path
    if any(os.path.isfile(folder / name) for name in ("dataset_dict.json", "state.json")):
        dataset = _saved_dataset(datasets.load_from_disk(str(folder)), source)
    else:
        dataset = _load_dataset(datasets, source)
    if not source.shuffle:
        return dataset
    if isinstance(dataset, datasets.IterableDataset):
        return dataset.shuffle(seed=source.seed, buffer_size=SHUFFLE_BUFFER)
    return dataset.shuffle(seed=source.seed)


def _saved_dataset(saved: Any, source: PromptSource) -> Any:
    """The split of what ``save_to_disk`` wrote: a dict of data sets, or a single one, which is of its own split."""
    splits = saved if isinstance(saved, dict) else {str(saved.split or "train"): saved}
    if source.split not in splits:
        raise InputError(f"{source.dataset_id} has no split {source.split}. Its splits: {', '.join(splits)}.")
    return splits[source.split]


def _load_dataset(datasets: Any, source: PromptSource) -> Any:
    named = _HUB_ID.fullmatch(source.dataset_id)
    if source.dataset_id and os.path.isdir(source.path):
        path, config = str(source.path.resolve()), None
    elif named:
        path, config = named["path"], named["config"]
    else:
        raise InputError(f"{source.dataset_id} is neither a file here nor a hub id (owner/name). Check --dataset-id.")
    if source.limit and not source.path.is_dir():
        require_reachable()
    if source.limit:
        return _stream(datasets, path, config, source.split)
    return datasets.load_dataset(path, config, split=source.split)


def _stream(datasets: Any, path: str, config: str | None, split: str) -> Any:
    """What ``load_dataset`` streams, save that Arrow's threads read no Parquet: see ``parquet_batches``."""
    builder = datasets.load_dataset_builder(path, config)
    if not os.path.isdir(path):
        _require_own_files(path, builder.config.data_files)
    parquet = need("datasets.packaged_modules.parquet.parquet", feature="Reading a data set")
    if isinstance(builder, parquet.Parquet):
        builder._generate_tables = partial(_parquet_tables, datasets, builder)
    return builder.as_streaming_dataset(split=split)


def _require_own_files(path: str, files: Any) -> None:
    """A data set of the hub may name files of this machine and addresses of its network as its own."""
    if foreign := [file for some in (files or {}).values() for file in some if not str(file).startswith("hf://")]:
        raise InputError(f"{path} names a file outside the hub, {str(foreign[0])[:200]}, which is not read.")


def _parquet_tables(
    datasets: Any, builder: Any, files: Sequence[str], row_groups_list: Sequence[Sequence[int] | None]
) -> Iterator[tuple[tuple[int, int], Any]]:
    """Stands in for the builder's ``_generate_tables``; gives Arrow tables with their places."""
    arrow = need("pyarrow", feature="Reading Parquet")
    access = datasets.DownloadConfig(token=builder.token, storage_options=builder.storage_options)
    for number, (file, row_groups) in enumerate(zip(files, row_groups_list, strict=True)):
        with datasets.utils.file_utils.xopen(file, "rb", download_config=access) as opened:
            for index, batch in enumerate(parquet_batches(opened, row_groups)):
                yield (number, index), builder._cast_table(arrow.Table.from_batches([batch]))


def require_reachable() -> None:
    """Raises the HTTP client's error when the hub does not answer; its libraries would try for half a minute to find out."""
    hub = need("huggingface_hub", feature="The Hugging Face hub")
    hub.get_session().head(hub.constants.ENDPOINT, timeout=10)


@contextmanager
def _hub_errors(source: PromptSource) -> Iterator[None]:
    """What ``datasets`` raises, in a sentence with what to do; its own messages name splits and configurations."""
    datasets = need("datasets", feature="Reading a data set")
    hub = need("huggingface_hub.errors", feature="Reading a data set")
    try:
        yield
    except (datasets.exceptions.DatasetNotFoundError, hub.RepositoryNotFoundError) as error:
        raise InputError(_no_access(source.dataset_id, _first_line(error))) from error
    except datasets.exceptions.DatasetsError as error:
        raise InputError(f"{source.dataset_id} cannot be read as a data set: {_first_line(error)}") from error
    except (ValueError, RuntimeError) as error:
        raise InputError(_wrong_option(source, str(error))) from error
    except (OSError, hub.HTTPError) as error:
        raise InputError(
            f"{source.dataset_id} is no local file, and the Hugging Face hub cannot be reached: {_first_line(error)}. "
            "Check the network, or give a local file: --dataset-id prompts.jsonl (or .csv, .parquet, .txt)."
        ) from error


def _no_access(dataset_id: str, message: str) -> str:
    if "gated" in message:
        return (
            f"{dataset_id} is gated: ask for access at https://huggingface.co/datasets/{dataset_id}, "
            "then log in with: hf auth login"
        )
    return f"{message} Check --dataset-id; a private data set needs: hf auth login"


def _wrong_option(source: PromptSource, message: str) -> str:
    if "Config name is missing" in message or "BuilderConfig" in message:
        return f"{message} Name the configuration after a colon: --dataset-id {source.dataset_id}:NAME"
    if message.startswith(("Bad split", "Unknown split")):
        return f"{source.dataset_id} has no split {source.split}: {message}"
    return f"{source.dataset_id} cannot be read: {message}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
