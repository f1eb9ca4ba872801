import csv
import io
import json
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifiers.errors import InputError
from classifiers.prompts import read_prompts
from classifiers.sources import PromptSource, parquet_batches

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples" / "prompts.jsonl"
RTP = ROOT.parent / "shared" / "data" / "real-toxicity-prompts" / "rtp_sample.jsonl"


def read(path, **options):
    return list(read_prompts(PromptSource(str(path), **{"limit": 0, **options})))


def texts(path, **options):
    return [prompt.text for prompt in read(path, **options)]


def refusal(path, **options):
    with pytest.raises(InputError) as refused:
        read(path, **options)
    return refused.value.message


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_csv(rows):
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_parquet(rows):
    import pyarrow as pa

    return parquet_of(pa.Table.from_pylist(rows))


def parquet_of(table):
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


FORMATS = {"p.jsonl": jsonl, "p.csv": as_csv, "p.parquet": as_parquet}


# What is read


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_text_place_and_metadata(write, name):
    path = write(name, FORMATS[name]([{"id": "a", "prompt": "One"}, {"id": "b", "prompt": "Two\nlines"}]))
    first, second = read(path)
    assert (first.text, first.position, first.metadata) == ("One", 0, {"id": "a"})
    assert (second.text, second.position, second.metadata) == ("Two\nlines", 1, {"id": "b"})


def test_a_text_file_is_one_prompt_a_line(write):
    path = write("p.txt", b"\xef\xbb\xbfOne\r\n\n  Two \n   \nThree\xe2\x80\xa8still three")
    assert texts(path) == ["One", "  Two ", "Three\u2028still three"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", b'\xef\xbb\xbf{"prompt": "One"}\r\n\r\n{"prompt": "Two"}\r\n'),
        ("p.csv", b"\xef\xbb\xbfprompt\r\nOne\r\n\r\nTwo\r\n"),
        ("p.tsv", b"prompt\tn\nOne\t1\nTwo\t2\n"),
    ],
)
def test_byte_order_mark_crlf_and_blank_lines_are_no_trouble(write, name, content):
    assert texts(write(name, content)) == ["One", "Two"]


storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1).filter(str.strip)


@pytest.mark.parametrize("name", FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(prompts=st.lists(storable, min_size=1, max_size=20))
def test_any_list_of_texts_reads_back_in_order(write, name, prompts):
    assert texts(write(name, FORMATS[name]([{"prompt": text} for text in prompts]))) == prompts


@pytest.mark.parametrize("name", FORMATS)
def test_a_prompt_of_5_mb_passes(write, name):
    assert len(texts(write(name, FORMATS[name]([{"prompt": "x" * 5_000_000}])))[0]) == 5_000_000


def test_limit_counts_prompts_and_stops_reading(write):
    path = write("p.jsonl", jsonl([{"prompt": str(n)} for n in range(5)]) + "broken")
    assert texts(path, limit=2) == ["0", "1"]


def test_metadata_is_what_json_can_hold(write):
    path = write("p.jsonl", '{"prompt": "One", "score": NaN, "groups": ["a"], "big": 123456789012345678901}\n')
    assert read(path)[0].metadata == {"score": None, "groups": ["a"], "big": 123456789012345678901}


# Which column


@pytest.mark.parametrize("column", ["prompt", "Text", "question", "instruction", "comment_text"])
def test_the_usual_names_are_found(write, column):
    assert texts(write("p.jsonl", jsonl([{"other": "x", column: "One"}]))) == ["One"]


def test_prompt_wins_over_other_usual_names(write):
    assert texts(write("p.jsonl", jsonl([{"text": "no", "prompt": "One"}]))) == ["One"]


def test_nested_text_is_found_and_its_siblings_kept(write):
    row = {"prompt": {"text": "One", "toxicity": 0.1}, "continuation": {"text": "two"}}
    (prompt,) = read(write("p.jsonl", jsonl([row])))
    assert prompt.text == "One"
    assert prompt.metadata == {"prompt": {"toxicity": 0.1}, "continuation": {"text": "two"}}


def test_a_dotted_name_reaches_in_and_a_column_so_named_comes_first(write):
    row = {"a": {"b": {"c": "deep"}}, "a.b": "flat"}
    path = write("p.jsonl", jsonl([row]))
    assert texts(path, text_column="a.b.c") == ["deep"]
    assert texts(path, text_column="a.b") == ["flat"]


def test_several_candidates_are_refused_with_the_columns(write):
    said = refusal(write("p.jsonl", jsonl([{"instruction": "a", "input": "b", "n": 1}])))
    assert "Several columns may be the text: instruction, input." in said
    assert "instruction, input, n" in said
    assert "--text-column" in said


@pytest.mark.parametrize("options", [{}, {"text_column": "nope"}, {"text_column": "inner.nope"}])
def test_a_missing_column_is_refused_with_the_columns(write, options):
    said = refusal(write("p.jsonl", jsonl([{"satz": "a", "inner": {"x": 1}}])), **options)
    assert "satz, inner.x" in said
    assert "--text-column" in said


# What is refused


def test_missing_file_folder_kind_and_split(write, tmp_path):
    assert "There is no file" in refusal(tmp_path / "none.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.jsonl")
    assert ".jsonl" in refusal(write("prompts.doc", "x"))
    assert "no split test, only train" in refusal(write("p.txt", "One"), split="test")
    assert "There is no file" in refusal("a" * 300 + ".txt")
    assert "There is no file" in refusal("\x00.txt")
    assert "There is no file" in refusal("~nobody-at-all/p.txt")
    assert "The limit" in refusal(tmp_path / "p.txt", limit=-1)


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.txt"])
def test_nothing_in_it(write, name):
    assert "it has no rows" in refusal(write(name, b""))


def test_only_a_header(write):
    assert "it has no rows" in refusal(write("p.csv", "prompt,id\n"))


def test_no_parquet(write):
    assert "cannot be read as Parquet" in refusal(write("p.parquet", b"PAR1 it is not"))


BAD_LINES = {
    "broken": (b'{"prompt": "x"', "is not a JSON object on one line"),
    "no object": (b'["x"]', "but a list"),
    "number": (b'{"prompt": 3}', "holds a number in its column prompt"),
    "null": (b'{"prompt": null}', "holds nothing in its column prompt"),
    "empty": (b'{"prompt": "  "}', "empty text"),
    "other columns": (b'{"satz": "x"}', "has no column prompt. Its columns: satz"),
    "NUL": (b'{"prompt": "a\\u0000"}', "NUL character at character 2"),
    "surrogate": (b'{"prompt": "\\ud800"}', "lone surrogate (U+D800)"),
    "NUL beside the text": (b'{"prompt": "x", "a": {"b": "\\u0000"}}', "its metadata.a.b has a NUL"),
    "Latin-1": (b'{"prompt": "caf\xe9"}', "is not UTF-8: byte 0xE9 after"),
    "too deep": (b'{"prompt": "x", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "recursion"),
    "deep": (b'{"prompt": "x", "a": ' + b"[" * 700 + b"]" * 700 + b"}", "recursion"),
    "number too long": (b'{"prompt": "x", "a": ' + b"9" * 5000 + b"}", "is not JSON that can be read"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_1000_is_named_and_can_be_skipped(write, kind):
    line, why = BAD_LINES[kind]
    good = b'{"prompt": "fine"}\n'
    path = write("p.jsonl", good * 999 + line + b"\n" + good)
    said = refusal(path)
    assert "line 1000 " in said
    assert why in said
    assert "--skip-bad-rows" in said
    reasons = []
    prompts = list(read_prompts(PromptSource(str(path), limit=0, skip_bad_rows=True), on_skip=reasons.append))
    assert [prompt.position for prompt in prompts] == list(range(1000))
    assert len(reasons) == 1
    assert why in reasons[0]


def test_all_rows_bad(write):
    assert "none of its 2 rows" in refusal(write("p.jsonl", "x\ny\n"), skip_bad_rows=True)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"one,two,three", "has 3 fields where the header has 2"),
        (b"one", "has 1 fields where the header has 2"),
        (b'"one"x,two', "is not CSV"),
        (b"caf\xe9,2", "is not UTF-8"),
        (b"a\x00b,2", "NUL character"),
        (b'"",2', "empty text"),
    ],
)
def test_a_bad_csv_record_is_named_by_its_line_after_quoted_newlines(write, record, why):
    path = write("p.csv", b'prompt,n\n"first\nof two",1\n' + record + b"\nlast,4\n")
    said = refusal(path)
    assert "line 4 " in said
    assert why in said
    assert texts(path, skip_bad_rows=True) == ["first\nof two", "last"]


def test_a_quote_never_closed_is_named_by_the_line_where_it_opens(write):
    assert "line 3 is not CSV" in refusal(write("p.csv", 'prompt,n\nOne,1\n"Two,2\nThree,3\n'))


def test_headers_that_cannot_be_used(write):
    assert "names a column twice: a" in refusal(write("p.csv", "a,prompt,a\n1,2,3\n"))
    assert "no readable header" in refusal(write("p.csv", '"a"b\n1\n'))
    assert "not UTF-8" in refusal(write("p.csv", b"\xff\xfep\x00r\x00"))


def test_parquet_text_that_is_not_utf8(write):
    import pyarrow as pa

    broken = pa.Array.from_buffers(pa.utf8(), 2, pa.array([b"caf\xe9", b"fine"]).buffers())
    path = write("p.parquet", parquet_of(pa.table({"prompt": broken})))
    assert "row 1 holds a value that cannot be read" in refusal(path)
    assert texts(path, skip_bad_rows=True) == ["fine"]


@pytest.mark.parametrize("kind", ["timestamp", "date"])
def test_a_parquet_date_beyond_pythons_is_a_bad_row(write, kind):
    import pyarrow as pa

    dates = pa.array([2**62, 0], pa.timestamp("us")) if kind == "timestamp" else pa.array([2**30, 0], pa.date32())
    path = write("p.parquet", parquet_of(pa.table({"prompt": ["far", "fine"], "at": dates})))
    assert "row 1 holds a value that cannot be read" in refusal(path)
    assert texts(path, skip_bad_rows=True) == ["fine"]


# Shuffling and size


@pytest.mark.parametrize("limit", [0, 20])
def test_shuffle_is_the_seeds(write, limit):
    path = write("p.jsonl", jsonl([{"prompt": str(n), "n": n} for n in range(200)]))
    once, again, other = (read(path, limit=limit, shuffle=True, seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert once != other
    assert [prompt.position for prompt in once] == list(range(limit or 200))
    assert len({prompt.text for prompt in once}) == (limit or 200)
    assert all(prompt.metadata["n"] == int(prompt.text) for prompt in once)
    assert texts(path, limit=limit) != [prompt.text for prompt in once]


@pytest.mark.parametrize(
    ("name", "shuffle"), [("p.jsonl", False), ("p.jsonl", True), ("p.csv", False), ("p.parquet", False)]
)
def test_memory_stays_flat(write, name, shuffle):
    rows = 50_000
    path = write(name, FORMATS[name]([{"prompt": f"{n} " + "x" * 200, "n": n} for n in range(rows)]))
    source = PromptSource(str(path), limit=0, shuffle=shuffle, seed=0)
    next(read_prompts(source))  # what is imported on first use is no growth
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_prompts(source)) == rows
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


class Watched(io.BytesIO):
    """Knows which threads have read it. Those that are not Python's own count as daemons."""

    def __init__(self, content):
        super().__init__(content)
        self.readers = set()

    def read(self, *args):
        self.readers.add(threading.current_thread())
        return super().read(*args)


def in_row_groups(count):
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"prompt": [f"{n} " + "x" * 100 for n in range(count * 200)]}), out, row_group_size=200)
    return out.getvalue()


def test_parquet_is_read_by_this_thread_alone():
    """Another one would go on when there is enough, and have a process that ends meanwhile aborted."""
    for rows in (1, 300):
        file = Watched(in_row_groups(5))
        assert len(list(islice(parquet_batches(file), rows))) >= 1
        assert file.readers == {threading.current_thread()}


def test_some_row_groups_of_parquet():
    assert sum(batch.num_rows for batch in parquet_batches(io.BytesIO(in_row_groups(3)), [0, 2])) == 400


# Data sets


@pytest.fixture
def saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"prompt": {"text": f"p{n}", "toxicity": n / 10}, "n": n} for n in range(10)])
    datasets.DatasetDict({"train": rows, "test": rows.select(range(3))}).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_a_saved_data_set_is_read_by_split(saved):
    assert texts(saved, limit=4) == ["p0", "p1", "p2", "p3"]
    assert len(texts(saved, split="test")) == 3
    assert read(saved)[2].metadata == {"prompt": {"toxicity": 0.2}, "n": 2}


def test_a_saved_data_set_shuffles_by_seed(saved):
    once = texts(saved, shuffle=True, seed=5)
    assert once == texts(saved, shuffle=True, seed=5)
    assert sorted(once) == sorted(texts(saved)) != once


def test_a_wrong_split_is_refused_with_the_splits(saved):
    assert "no split dev" in refusal(saved, split="dev")
    assert "train, test" in refusal(saved, split="dev")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        (tmp_path / "set" / f"{split}.jsonl").write_text(
            jsonl([{"question": f"{split} {n}", "n": n} for n in range(50)])
        )
    return tmp_path / "set"


@pytest.mark.parametrize("limit", [5, 0])
def test_a_folder_of_files_is_loaded_as_the_hub_would(folder, limit, monkeypatch, tmp_path):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    assert texts(folder, limit=limit, split="test")[:2] == ["test 0", "test 1"]
    said = refusal(folder, limit=limit, split="dev")
    assert "no split dev" in said
    assert "'train'" in said
    once = texts(folder, limit=limit, shuffle=True, seed=3)
    assert once == texts(folder, limit=limit, shuffle=True, seed=3)
    assert once != texts(folder, limit=limit)


def test_a_folder_without_data(tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refusal(tmp_path / "empty", limit=5)


@pytest.mark.parametrize("name", ["./no/such/place", "", "two words", "a" * 300 + "/" + "b" * 300 + "/c"])
def test_neither_file_nor_hub_id(name):
    assert "neither a file here nor a hub id" in refusal(name)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_stream_of_parquet_is_read_by_no_thread_that_the_end_does_not_wait_for(shuffle, monkeypatch, tmp_path):
    opened = []

    def xopen(path, *args, **kwargs):
        opened.append(Watched(Path(path).read_bytes()))
        return opened[-1]

    monkeypatch.setattr("datasets.utils.file_utils.xopen", xopen)
    for name in ("a", "b"):
        (tmp_path / f"train-{name}.parquet").write_bytes(in_row_groups(3))
    some = texts(tmp_path, limit=5, shuffle=shuffle, seed=1)
    assert len(some) == 5
    assert (some[:2] == ["0 " + "x" * 100, "1 " + "x" * 100]) != shuffle
    assert {reader.daemon for file in opened for reader in file.readers} == {False}


def test_a_process_that_has_read_enough_of_a_stream_ends_well(tmp_path):
    (tmp_path / "train.parquet").write_bytes(in_row_groups(100))
    code = (
        "from classifiers.prompts import read_prompts; from classifiers.sources import PromptSource;"
        f"print(len(list(read_prompts(PromptSource({str(tmp_path)!r}, limit=5)))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr


def test_a_stream_is_split_and_refused_as_what_is_loaded_whole(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"{split}.parquet").write_bytes(in_row_groups(1))
    assert len(texts(tmp_path, limit=300, split="test")) == 200
    assert "no split dev" in refusal(tmp_path, limit=5, split="dev")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 not quite PAR1")
    assert "cannot be read" in refusal(tmp_path, limit=5)


@pytest.fixture
def hub(monkeypatch):
    """Lets a test say what ``datasets`` raises when it loads one."""

    def failing(error):
        def load_dataset(*args, **kwargs):
            raise error

        monkeypatch.setattr("datasets.load_dataset", load_dataset)
        monkeypatch.setattr("datasets.load_dataset_builder", load_dataset)
        monkeypatch.setattr("classifiers.hub.require_reachable", lambda: None)

    return failing


def test_offline_says_how_to_go_on(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    said = refusal("allenai/real-toxicity-prompts", limit=5)
    assert "cannot be reached" in said
    assert "--dataset-id prompts.jsonl" in said


def test_gated_missing_configuration_and_network(hub):
    from datasets.exceptions import DatasetNotFoundError

    hub(DatasetNotFoundError("Dataset 'a/b' is a gated dataset on the Hub."))
    assert "hf auth login" in refusal("a/b")
    hub(DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub or cannot be accessed."))
    assert "Check --dataset-id" in refusal("a/b")
    hub(ValueError("Config name is missing.\nPlease pick one among the available configs: ['x', 'y']"))
    assert "--dataset-id a/b:NAME" in refusal("a/b")
    hub(RuntimeError("Dataset scripts are no longer supported, but found b.py"))
    assert "scripts are no longer supported" in refusal("a/b")
    hub(ConnectionResetError("Connection reset by peer"))
    assert "cannot be reached" in refusal("a/b")


def test_the_configuration_stands_after_a_colon(monkeypatch):
    asked = []

    class Loaded(list):
        config = SimpleNamespace(data_files={"train": ["hf://datasets/owner/name@1/part.parquet"]})

        def as_streaming_dataset(self, **kwargs):
            asked.append(kwargs)
            return self

    def load_dataset(*args, **kwargs):
        asked.append((args, kwargs))
        return Loaded([{"text": "One"}])

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    monkeypatch.setattr("datasets.load_dataset_builder", load_dataset)
    monkeypatch.setattr("classifiers.hub.require_reachable", lambda: None)
    assert texts("owner/name:part", limit=1) == ["One"]
    assert texts("name", split="test") == ["One"]
    assert asked == [
        (("owner/name", "part"), {}),
        {"split": "train"},
        (("name", None), {"split": "test"}),
    ]


# The files at hand


@pytest.mark.skipif(not RTP.exists(), reason="the RealToxicityPrompts sample is not here")
def test_real_toxicity_prompts():
    prompts = read(RTP)
    assert len(prompts) == 4893
    assert set(prompts[0].metadata) == {"filename", "begin", "end", "challenging", "prompt", "continuation"}
    assert "text" not in prompts[0].metadata["prompt"]
    assert 0 <= prompts[0].metadata["prompt"]["toxicity"] <= 1


def test_the_samples_are_what_their_readme_says():
    rows = [prompt.metadata | {"prompt": prompt.text} for prompt in read(SAMPLES)]
    kinds = Counter(row["kind"] for row in rows)
    assert len(rows) == len({row["id"] for row in rows}) >= 120
    assert kinds.keys() == {
        "ordinary", "borderline", "toxic", "jailbreak", "pii", "multilingual", "long", "unicode"
    }  # fmt: skip
    assert min(kinds.values()) >= 6
    assert {row["label"] for row in rows} == {"SAFE", "TOXIC"}
    assert len({row["language"] for row in rows}) >= 8
    assert max(len(row["prompt"]) for row in rows) > 4000
    readme = (SAMPLES.parent / "README.md").read_text()
    for (kind, label), count in Counter((row["kind"], row["label"]) for row in rows).items():
        safe, toxic = readme.split(f"| {kind} | ")[1].split(" | ")[:2]
        assert count == int({"SAFE": safe, "TOXIC": toxic}[label])


def test_repeats_in_the_samples_are_marked():
    first = {}
    for prompt in read(SAMPLES):
        assert prompt.metadata.get("duplicate_of") == first.get(prompt.text)
        first.setdefault(prompt.text, prompt.metadata["id"])
    assert 2 <= len(read(SAMPLES)) - len(first) <= 3


def test_the_first_40_samples_are_a_fair_mix():
    first = read(SAMPLES, limit=40)
    assert len({prompt.metadata["kind"] for prompt in first}) == 8
    assert 14 <= sum(prompt.metadata["label"] == "TOXIC" for prompt in first) <= 26
    assert any("duplicate_of" in prompt.metadata for prompt in first)
