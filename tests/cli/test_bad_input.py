"""Bad input: a clear message on standard error, its exit code, no traceback, nothing half-written."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from attnviz.attention import memory
from attnviz.checkpoint import folder as checkpoint
from attnviz.cli import reading
from attnviz.errors import InputError
from tests import tiny
from tests.cli.conftest import Result, Run

S = tiny.SENTENCE


def assert_refused(result: Result, code: int, *said: str) -> None:
    assert result.code == code, result.err
    assert result.out == ""
    for part in said:
        assert part in result.said
    assert "Traceback" not in result.err
    assert not set(result.err) & set("\x1b\x07\x9b\u202e\r")


@dataclass(frozen=True)
class Case:
    """A command line, its standard input, and the expected error."""

    arguments: tuple[object, ...]
    code: int
    said: tuple[str, ...]
    stdin: bytes = b""


def case(*arguments: object, code: int, said: str | tuple[str, ...], stdin: bytes = b"") -> Any:
    return pytest.param(
        Case(arguments, code, (said,) if isinstance(said, str) else said, stdin),
        id=ascii(" ".join("…" if argument == S else str(argument) for argument in arguments))[1:-1][:60],
    )


MISSING = "/no/such/place"


@pytest.mark.parametrize(
    "given",
    [
        # Texts
        case("show", code=2, said=("no text is given", "attnviz show")),
        case("show", "", code=3, said=("error: the text is empty", "Give a sentence")),
        case("show", " \n\t\u3000", code=3, said="the text is empty"),
        case("show", "-", code=3, said="the text is empty"),
        case("show", "the bank", "--pair", " ", code=3, said="the second text is empty"),
        case("show", "[SEP] [CLS]", code=3, said="only special tokens or characters that the model's tokenizer"),
        case("show", "你好", code=3, said="only special tokens or characters that the model's tokenizer"),
        case("show", "\u202e\u200b\x00\x1b", code=3, said="only special tokens or characters"),
        case("show", "the \udcff", code=3, said="lone surrogate (U+DCFF) at character 4"),
        case("show", "bank " * 99, code=3, said=("has 101 tokens, the model takes 64: 37 too many", "--truncate")),
        case("show", S, "--file", "a.txt", code=2, said="both a text and --file are given"),
        case("show", "-", code=3, said="standard input is not UTF-8 (byte 0xff at 5)", stdin=b"bank \xff"),
        case("show", "--file", MISSING, code=3, said=f"{MISSING} can't be read (No such file or directory)"),
        case("show", "--file", "\x1b[31mred\x07.txt", code=3, said="␛[31mred␇.txt can't be read"),
        case("show", S, "--from", "a.json", code=2, said="the text has no passage 'a.json'"),
        case("export", S, "a.json", "--from", "the bank", code=2, said="a record holds the whole text"),
        case("show", "--pair", "a", "--from", "a.json", code=2, said="both a text and the record a.json"),
        case("show", "--from", "missing.json", code=3, said="missing.json can't be read"),
        case("show", "--from", "a.png", code=3, said="expected .json or .safetensors"),
        case("cost", code=2, said=("no text is given", "attnviz cost")),
        case("cost", S, "--tokens", "5", code=2, said="both a text and --tokens are given"),
        case("cost", "--tokens", "0", code=2, said="--tokens"),
        case("cost", "--tokens", "5", "-m", MISSING, code=4, said="there is no folder"),
        case("export", S, "a.json", "--max-memory", "4XB", code=2, said="--max-memory is '4XB', expected a size"),
        # What there is not
        case("show", S, "--head", "14", code=2, said="no head 14: each layer of this model has heads 0–3"),
        case("show", S, "--layer", "2", "--head", "0-4", code=2, said="no head 4: each layer of this model has heads"),
        case("show", S, "--layer", "3", code=2, said="no layer 3: this model has layers 0–2"),
        case("show", S, "--layer", "9", "--head", "mean", code=2, said="no layer 9: this model has layers 0–2"),
        case("show", S, "--token", "river", code=2, said=("the text has no word 'river'", "It has: [CLS], The, bank")),
        case("show", S, "--token", "the:4", code=2, said=("no the:4: 'the' occurs 3 times", "Count from 1")),
        case("show", S, "--token", "bank:0", code=2, said="no bank:0: 'bank' occurs once"),
        case("show", S, "--token", "bank:" + "9" * 5000, code=2, said="'bank' occurs once"),
        case("show", S, "--token", "\x1b[31mred", code=2, said="the text has no word '\\x1b[31mred'"),
        case("show", "the \x1b[31mbank", "--token", "x", code=2, said="the text has no word 'x'"),
        # Options
        *[
            case("show", S, "--layer", value, code=2, said="expected numbers such as 3 or 1,4-6")
            for value in ("mean", "x", "", "1,", "-1", "1-", "1.5", "1-2-3", "1" * 9, "0-" + "9" * 6, "\x1b[1m", "²")
        ],
        case("show", S, "--layer", "2-1", code=2, said="the range is empty"),
        *(
            case("show", S, "--rows", value, code=2, said="expected numbers such as 3:40, 3:, :40 or 3")
            for value in ("", ":", "1:2:3", "-3", "3-4", "3 4", "1" * 5000)
        ),
        case("show", S, "--cols", "0:15", code=2, said="no columns 0:15: there are 14 words"),
        *(
            case("show", S, "--rows", value, code=2, said=f"the text has no word '{value}'")
            for value in ("a", "3:b", "river")
        ),
        case("show", S, "--cols", "the", code=2, said=("'the' is 3 words of the text", "The:1, the:2, the:3")),
        case("show", S, "--rows", "the:4", code=2, said="no the:4: 'the' occurs 3 times"),
        case("show", S, "--rows", "14", code=2, said="numbered from 0 to 13"),
        case("show", S, "--rows", "4:4", code=2, said="no rows 4:4: the range is empty"),
        case("show", S, "--rows", "16", "--tokens", code=2, said="there are 15 tokens"),
        case("show", S, "--head", "means", code=2, said="expected numbers such as 3 or 1,4-6, or mean"),
        case("show", S, "--top", "0", code=2, said="--top"),
        case("show", S, "--links", "many", code=2, said="--links"),
        case("show", S, "--cell", "\x1b[31mcolour", code=2, said="--cell"),
        case("show", S, "--\x1b[31mred", code=2, said="No such option"),
        case("show", S, "and \x1b[31mmore", code=2, said="unexpected extra argument"),
        # Models
        case("show", S, "-m", MISSING, code=4, said=(f"there is no folder {MISSING}", "config.json")),
        case("show", S, "-m", "./models", code=4, said="there is no folder ./models"),
        case("show", S, "-m", "a/b/c", code=4, said="there is no folder a/b/c"),
        case("show", S, "-m", "no spaces/in ids", code=4, said="neither a folder nor a Hub id"),
        case("show", S, "-m", "\x1b[31mred", code=4, said="neither a folder nor a Hub id"),
        case("show", S, "-m", "~nobody-of-this-name/model", code=4, said="~nobody-of-this-name/model"),
        case("show", S, "-m", "m" * 300, code=4, said="m" * 300),
        case("show", S, "-m", "\0", code=4, said="error: "),
        case("show", S, "--revision", "main", code=2, said="is a folder: --revision is for models from the Hub"),
        # Outputs
        case("export", S, "out.gif", code=2, said="ends in '.gif', expected one of .png, .svg, .pdf, .html, .json"),
        case("export", S, code=2, said="has no suffix, expected one of .png"),
        case("export", "out.png", code=2, said=("no text is given", "attnviz export")),
        case("export", "The", "bank", "out.png", code=2, said=("3 arguments are given", "quotation marks")),
        case("export", S, "no/out.png", code=2, said=("there is no folder no", "mkdir -p no")),
        case("export", S, "\x1b[31m/out.png", code=2, said="there is no folder ␛[31m"),
        case("export", S, "n" * 300 + ".png", code=2, said="File name too long"),
        case("export", S, "~nobody-of-this-name/out.png", code=2, said="~nobody-of-this-name"),
        case("export", S, "out.png", "--cmap", "virdis", code=2, said=("no colour map 'virdis'", "viridis")),
        case("export", S, "out.png", "--cmap", "\x1b[1m", code=2, said="no colour map '\\x1b[1m'"),
        case("export", S, "out.png", "--theme", "grey", code=2, said="--theme"),
        case("export", S, "out.png", "--dpi", "5", code=2, said="--dpi"),
        *[
            case("export", S, "out.png", "--size", value, code=2, said="expected width x height in inches from 1")
            for value in ("8", "8x", "8x6x4", "0x5", "101x5", "axb", "nanx5", "infxinf", "-3x4", "\x1b[1m")
        ],
        case("export", S, "out.png", "--view", "mosaic", code=2, said=("--view is 'mosaic'", "grid, head, arcs")),
        case("export", S, "out.png", "--view", "token", code=2, said=("what one word", "Name it with --token")),
        case("export", S, "out.png", "--view", "token", "--token", "river", code=2, said="no word 'river'"),
        case("export", S, "out.png", "--view", "token", "--token", "the", code=2, said="'the' is 3 words of the text"),
        case("export", S, "out.png", "--view", "grid", "--token", "bank", code=2, said="--token is for the views head"),
        case("export", S, "out.png", "--view", "difference", code=2, said=("another text", "--versus, --versus-m")),
        case("export", S, "out.png", "--view", "arcs", "--versus", "a", code=2, said="is for the view difference"),
        case("export", S, "out.png", "--view", "arcs", "--own-scale", code=2, said="--own-scale is for the views grid"),
        case("export", S, "out.png", "--annotate", code=2, said="--annotate is for the views head and difference"),
        case("export", S, "out.png", "--horizontal", code=2, said="--horizontal is for the view arcs, not for grid"),
        case("export", S, "out.png", "--size", "4x3", "--width", "3in", code=2, said="both --width and --size"),
        *(
            case("export", S, "out.png", "--width", value, code=2, said="expected a width from 1 to 100 inches with")
            for value in ("3", "", "3 feet", "0.5in", "9999mm", "nanin", "-3in", "\x1b[1m")
        ),
        *(
            case("export", S, "out.png", "--vmax", value, code=2, said="expected a weight above 0 and at most 1")
            for value in ("0", "2", "", ".", "150%", "nan", "-1", "1e-3")
        ),
        case("export", S, "out.png", "--head", "9", code=2, said="no head 9"),
        case("export", S, "out.png", "--view", "grid", "--head", "9", code=2, said="no head 9"),
        case("export", S, "out.json", "--layer", "0", code=2, said="a .json record holds all heads"),
        case("export", S, "out.json", "--view", "arcs", code=2, said="a .json record holds all heads"),
        case("export", S, "out.json", "--rows", "1:3", code=2, said="a .json record holds all heads"),
        case("export", S, "out.png", "--rows", "1:99", code=2, said="no rows 1:99: there are 14 words"),
        case("export", S, "out.json", "--map", "cross", code=2, said="all heads and maps: --map, --layer, --head"),
        case("export", S, "out.png", "--map", "encoder", code=2, said=("no encoder map", "Leave --map out")),
        case("show", S, "--map", "cross", code=2, said=("no cross map to choose: this model has one kind", "Leave")),
        case("show", S, "--map", "decoder", "--json", code=2, said="no decoder map to choose"),
        case("show", S, "--map", "sideways", code=2, said="--map"),
        case("export", "", "out.png", code=3, said="the text is empty"),
        # How a model is run
        *[
            case(command, S, *more, "--dtype", "float8", code=2, said=("--dtype", "float8"))
            for command, *more in (("show",), ("check",), ("export", "out.png"))
        ],
        case("show", S, "--device", "tpu", code=2, said=("--device is 'tpu'; this machine has", "cpu")),
        case("check", S, "--device", "cuda:99", code=2, said="--device is 'cuda:99'; this machine has"),
        case("show", S, "--device", "\x1b[31m", code=2, said="--device is '\\x1b[31m'"),
        case("show", S, "--target", "x", code=2, said="has no decoder beside an encoder: it takes no target"),
        case("check", S, "--target", "x", code=2, said="it takes no target"),
        case("export", S, "out.png", "--target", "x", code=2, said="it takes no target"),
        case("show", "--target", "a", "--from", "a.json", code=2, said="both a text and the record a.json"),
        case("show", S, "-m", "default", "--gguf", "no.gguf", code=4, said="there is no file no.gguf"),
        case("show", S, "--gguf", "no.gguf", code=4, said=("there is no file", "no.gguf", "its name in --model")),
        case("show", S, "-m", "nobody/nothing", "--gguf", "a.gguf", code=4, said="is not in the Hub cache"),
        case("show", S, "-m", "default", "--gguf", "a.gguf", "--revision", "v1", code=2, said="--revision is for"),
        case("models", MISSING, code=4, said=f"there is no folder {MISSING}"),
        case("models", "nobody/nothing", code=4, said="is not in the Hub cache"),
        case("models", "no spaces/in ids", code=4, said="neither a folder nor a Hub id"),
        case("models", "--gguf", "\x1b[31m.gguf", code=4, said="there is no file ␛[31m.gguf"),
        case("models", "a", "b", code=2, said="unexpected extra argument"),
        case("check", "你好", code=3, said="only special tokens"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(given: Case, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run(*given.arguments, stdin=given.stdin), given.code, *given.said)
    assert list(tmp_path.iterdir()) == []


# Files with texts


def test_a_file_that_is_not_utf_8_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("The café".encode("latin-1"))
    assert_refused(run("show", "--file", path), 3, f"{path} is not UTF-8 (byte 0xe9 at 7)", "iconv")


def test_a_folder_is_no_text(run: Run, tmp_path: Path) -> None:
    assert_refused(run("show", "--file", tmp_path), 3, f"{tmp_path} can't be read (Is a directory)")


def test_a_file_without_permission_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, __: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    assert_refused(run("show", "--file", tmp_path / "a.txt"), 3, "can't be read (Permission denied)")


def test_standard_input_that_is_closed_is_refused(run: Run) -> None:
    # A program may be started without: attnviz show - <&-
    result = run("show", "-", stdin=None)
    assert result.code in (2, 3)
    assert "standard input" in result.said


def test_standard_input_that_can_not_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(Endless):
        def readinto(self, _: Any) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Lost())))
    with pytest.raises(InputError, match=r"standard input can't be read \(Input/output error\)"):
        reading.read_standard_input()


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that memory suffices to encode 3 MB of text."""
    monkeypatch.setattr(memory, "free_memory", lambda *_: 3_000_000 * reading.BYTES_PER_BYTE)


@pytest.mark.usefixtures("little_memory")
def test_a_file_larger_than_memory_is_refused_unread(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(10**13)  # of which nothing is on the disk
    assert_refused(run("show", "--file", path), 3, f"{path} has 10 TB: there is memory to cut 3.0 MB", "head -c")
    assert_refused(run("cost", "--file", path), 3, f"{path} has 10 TB")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there are no devices")
def test_a_device_without_an_end_is_refused(run: Run) -> None:
    assert_refused(run("show", "--file", "/dev/zero"), 3, "/dev/zero is not text (a NUL byte at 0)")


@pytest.mark.usefixtures("little_memory")
def test_a_pipe_without_an_end_is_refused(run: Run, tmp_path: Path) -> None:
    """It is read in pieces, until memory would not suffice."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), path.open("wb") as file:
            while True:
                file.write(b"yes\n" * 10_000)

    writer = threading.Thread(target=write)
    writer.start()
    result = run("show", "--file", path)
    writer.join(10)
    assert not writer.is_alive()
    assert_refused(result, 3, f"{path} has", "MB and goes on: there is memory to cut 3.0 MB of text into tokens")


class Endless(io.RawIOBase):
    """Standard input that has no end."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:] = b"y\n" * (len(buffer) // 2)
        return len(buffer)


@pytest.mark.usefixtures("little_memory")
def test_standard_input_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    with pytest.raises(InputError, match=r"standard input has .* MB and goes on: there is memory to cut 3.0 MB of"):
        reading.read_standard_input()


def test_where_nothing_is_known_of_memory_there_is_a_bound_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda *_: None)
    assert reading.max_text_bytes() == reading.DEFAULT_BYTES


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"%PDF-1.7 text", "a PDF"),
        (b"PK\x03\x04", "a zip archive, as .docx and .epub files are"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"the bank\0", "not text (a NUL byte at 8)"),
    ],
)
def test_what_is_no_text_is_refused(start: bytes, said: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(start + b"the bank")
    assert_refused(run("show", "--file", path), 3, f"{path} is {said}, expected plain text in UTF-8", ".txt file")
    assert_refused(run("show", "-", stdin=path.read_bytes()), 3, f"standard input is {said}")


def test_text_in_utf_16_is_refused_with_what_converts_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("the bank".encode("utf-16"))
    assert_refused(run("show", "--file", path), 3, f"{path} is UTF-16, expected UTF-8", "iconv -f utf-16 -t utf-8")


@pytest.mark.parametrize("line", ["a", "ab ", "."])
def test_one_endless_line_is_refused_soon(line: str, run: Run, tmp_path: Path) -> None:
    """Either a single word that no tokenizer knows, or more tokens than the model takes."""
    path = tmp_path / "line.txt"
    path.write_text(line * (1_000_000 // len(line)))
    start = time.process_time()
    result = run("show", "--file", path)
    assert time.process_time() - start < 10
    assert_refused(result, 3, "the text has")


# Memory


def test_weights_beyond_max_memory_are_refused_with_their_size(run: Run, tmp_path: Path) -> None:
    result = run("export", S, tmp_path / "a.json", "--max-memory", "1kB")
    assert_refused(result, 3, "the weights of all its heads would take", "and --max-memory allows 1.0 kB")
    assert list(tmp_path.iterdir()) == []
    assert run("export", S, tmp_path / "a.json", "--max-memory", "1MB").code == 0


@pytest.mark.parametrize("command", ["show", "export"])
def test_a_run_that_does_not_fit_is_refused(
    command: str, run: Run, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda *_: 5_000_000)
    out = [tmp_path / "a.png"] if command == "export" else []
    result = run(command, "bank " * 1500, *out, "-m", tiny_llama)
    assert_refused(
        result, 3, "1,502 tokens: its run would take", "beside the model, and 5.0 MB are free", "attnviz cost"
    )
    assert list(tmp_path.iterdir()) == []


# Records


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_damaged_record_is_refused(run: Run, saved: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"record{suffix}"
    run("export", "--from", saved, path)
    path.write_bytes(path.read_bytes()[:-9])
    assert_refused(run("show", "--from", path), 3, f"{path} is not a record of attnviz", "attnviz export")


# Models


Damage = Callable[[Path], object]


def config(**changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "config.json"
        values = json.loads(path.read_bytes()) | changes
        path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))

    return damage


def tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "model.safetensors"
        values = {name: value.copy() for name, value in load_file(path).items()}
        change(values)
        save_file(values, path, metadata={"format": "pt"})

    return damage


def nan(values: dict[str, np.ndarray]) -> None:
    values["encoder.layer.1.attention.self.query.weight"][3, 5] = np.nan


def cut(name: str, kept: float) -> Damage:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(kept * len(content))])

    return damage


DAMAGES: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), ("has no config.json", "save_pretrained")),
    "config is no JSON": (cut("config.json", 0.5), ("config.json can't be read as JSON",)),
    "config is a list": (lambda folder: (folder / "config.json").write_text("[]"), ("config.json",)),
    "no model type": (config(model_type=None), ("config.json has no model_type",)),
    "unknown model type": (
        config(model_type="brt"),
        ("models of type 'brt'", "Did you mean bert?", "transformers does not know the type 'brt'", "attnviz models"),
    ),
    "a type that has no attention": (config(model_type="mamba"), ("recurrent state", "no attention weights to show")),
    "escapes in the model type": (config(model_type="\x1b[31mbert"), ("models of type '\\x1b[31mbert'",)),
    "no heads": (config(num_attention_heads=0), ("num_attention_heads is 0, expected a whole number above zero",)),
    "heads that do not divide": (config(num_attention_heads=5), ("hidden_size 32 does not divide by",)),
    "weights cut off": (cut("model.safetensors", 0.7), ("model.safetensors is truncated or corrupt",)),
    "empty weights": (cut("model.safetensors", 0), ("model.safetensors is truncated or corrupt",)),
    "weights are text": (
        lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs"),
        ("model.safetensors is truncated or corrupt",),
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), ("has no weights",)),
    "a tensor is missing": (
        tensors(lambda values: values.pop("encoder.layer.2.attention.self.key.bias")),
        ("lacks 1 tensors", "encoder.layer.2.attention.self.key.bias"),
    ),
    "more layers than weights": (config(num_hidden_layers=5), ("lacks 32 tensors that its config asks for",)),
    "another shape": (
        tensors(lambda values: values.update({"embeddings.LayerNorm.bias": np.zeros(31, np.float32)})),
        ("embeddings.LayerNorm.bias has the shape (31,), its config asks for (32,)",),
    ),
    "another vocabulary": (config(vocab_size=50), ("word_embeddings.weight has the shape",)),
    "NaN": (tensors(nan), ("give NaN", "layers.1.attention.query.weight")),
    "tokenizer is cut off": (cut("tokenizer.json", 0.5), ("tokenizer.json is not a tokenizer",)),
    "a shard is missing": (
        lambda folder: (
            (folder / "model.safetensors").unlink(),
            (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1-of-2.safetensors"}}'),
        ),
        ("lacks model-1-of-2.safetensors",),
    ),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_model_is_refused(
    damage: Damage, said: tuple[str, ...], run: Run, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_bert, folder)
    damage(folder)
    assert_refused(run("show", S, "--no-check", "--model", folder), 4, *said)


def test_what_only_transformers_can_read_is_hosted_and_said_harmlessly(
    run: Run, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_bert, folder)
    config(new_kind_of_mask="\x1b[1m")(folder)
    result = run("show", S, "--no-check", "--model", folder)
    assert result.code == 0
    assert result.said.startswith("hosted: transformers runs the model, our kernel is its attention (config.json asks")
    assert "new_kind_of_mask = '\\x1b[1m'" in result.said
    assert "\x1b" not in result.out + result.err


def test_a_file_is_no_model(run: Run, tiny_bert: Path) -> None:
    path = tiny_bert / "config.json"
    assert_refused(
        run("show", S, "--model", path), 4, f"{path} is a file, expected a GGUF file, or a folder with config.json"
    )


def test_a_model_with_one_type_of_token_takes_no_pair(run: Run, tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path / "model", type_vocab_size=1)
    assert_refused(run("show", "a", "--pair", "b", "--model", folder), 3, "1 token type only: it takes no pair")
    assert run("show", "a", "--model", folder, "--no-check").code == 0


@pytest.mark.parametrize(
    ("arguments", "fetch"),
    [
        (["-m", "nobody/nothing"], "hf download nobody/nothing"),
        (["-m", "nobody/nothing", "--revision", "v1"], "hf download nobody/nothing --revision v1"),
        (["-m", "default"], "hf download sentence-transformers/all-MiniLM-L6-v2"),
        (["-m", "default"], "python -m pip install 'attnviz[offline]'"),
    ],
)
def test_offline_with_nothing_cached_the_message_says_which_command_fetches_it(
    arguments: list[str], fetch: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "find_bundle", lambda: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert_refused(run("show", S, *arguments), 4, "is not in the Hub cache, and the Hub can't be reached", fetch)


# Any text


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=()), max_size=20)
    | st.lists(st.sampled_from(["the ", "bank", "\x1b[2J", "\n", "\u202e", "日", "👩\u200d👧", "."]), max_size=9).map(
        "".join
    )
)
def test_any_text_is_shown_harmlessly_or_refused_with_code_3(run: Run, text: str) -> None:
    result = run("show", "--no-check", "--all", "--", text)
    if text == "-":
        return
    if result.code:
        assert_refused(result, 3)
        return
    assert (result.code, result.err) == (0, "")
    assert not set(result.out) & set("\x1b\x07\x9b\t\r\u202e\u2066\u200b\x00")
