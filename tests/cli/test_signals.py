"""Ctrl-C and the signal to terminate end the program at once, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import tiny

pytestmark = pytest.mark.slow  # each runs a whole process and waits for it

# Says on standard output when it has come to a place, and stays there.
_STAY = "print('there', flush=True); import time; time.sleep(60)"
PLACES = {
    # Of what the console script imports at its start, the last is slow.
    "imports": f"import importlib.abc\nclass Slow(importlib.abc.MetaPathFinder):\n    def find_spec(self, name, *_):\n"
    f"        if name == 'attnviz.cli.show': {_STAY}\nsys.meta_path.insert(0, Slow())",
    "loading": f"import attnviz.model.backends as backends\ndef stay(*_): {_STAY}\nbackends.open_backend = stay",
    "kernel": f"from attnviz.model.native import run\ndef stay(*_, **__): {_STAY}\nrun.attend = stay",
    "check": f"from attnviz.model.check import judge as check\ndef stay(*_, **__): {_STAY}\ncheck.check_shown = stay",
    "writing": f"from attnviz import record\ndef stay(_, path, *__):\n    path.write_text('half')\n    {_STAY}\n"
    f"record.write = stay",
    "running": "from attnviz.model.native import run\nreal = run.attend\n"
    "def said(*given, **more): print('there', flush=True); return real(*given, **more)\nrun.attend = said",
}


def interrupted(place: str, folder: Path, *arguments: object, by: int = signal.SIGINT) -> tuple[int, str]:
    """Run a command, signal it at ``place``, and return its exit code and messages."""
    # Whoever runs the tests may ignore Ctrl-C and the end of the terminal, as nohup does, and its children with it.
    heed = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
    heed += "\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)"
    code = f"import sys\nsys.argv[0] = 'attnviz'\n{heed}\n{PLACES[place]}\nfrom attnviz.cli.signals import main\nmain()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"COLUMNS": "80"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    while line and line != "there\n":
        line = process.stdout.readline()
    assert line, process.communicate()[1]
    process.send_signal(by)
    start = time.monotonic()
    try:
        _, said = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert time.monotonic() - start < 10
    return process.returncode, said


@pytest.mark.parametrize("place", ["imports", "loading", "kernel", "check"])
def test_ctrl_c_ends_at_once_with_one_line(place: str, tiny_bert: Path, tmp_path: Path) -> None:
    assert interrupted(place, tmp_path, "show", tiny.SENTENCE, "-m", tiny_bert) == (130, "interrupted\n")


@pytest.mark.parametrize("place", ["kernel", "writing"])
def test_nothing_half_written_stays(place: str, tiny_bert: Path, tmp_path: Path) -> None:
    code, said = interrupted(place, tmp_path, "export", tiny.SENTENCE, "out.json", "-m", tiny_bert)
    assert (code, said) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("by", "code", "said"), [(signal.SIGTERM, 143, "terminated\n"), (signal.SIGHUP, 129, "hung up\n")]
)
def test_a_signal_to_end_leaves_nothing_either(by: int, code: int, said: str, tiny_bert: Path, tmp_path: Path) -> None:
    arguments = "export", tiny.SENTENCE, "out.json", "-m", tiny_bert
    assert interrupted("writing", tmp_path, *arguments, by=by) == (code, said)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_ended_while_it_computes(tiny_llama: Path, tmp_path: Path) -> None:
    """The signal arrives in the middle of the kernel."""
    path = tmp_path / "long.txt"
    path.write_text("bank of the river " * 3000)
    start = time.monotonic()
    assert interrupted("running", tmp_path, "show", "-f", path, "-m", tiny_llama) == (130, "interrupted\n")
    assert time.monotonic() - start < 60


def test_a_pipe_that_is_closed_ends_it_quietly(tiny_bert: Path) -> None:
    code = "import sys; from attnviz.cli.signals import main; sys.argv[0] = 'attnviz'; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "show", tiny.SENTENCE, "--no-check", "-m", str(tiny_bert)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 141
    process.stderr.close()
