"""README, manual and samples say what is true: commands run, names exist, pictures are current.

Models of the Hub are tiny ones here, in a cache of our own under the names that the pages use.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants
from jsonschema import Draft202012Validator
from PIL import Image
from transformers import LlamaForCausalLM

from attnviz import manual
from attnviz.batch.engine import finish
from attnviz.batch.input.formats import FORMATS
from attnviz.batch.input.stream import PACKINGS
from attnviz.cli import app
from attnviz.interface import Attention, Model
from attnviz.record import schemas
from attnviz.render.document import summary_document
from tests import corpus, gguf_files, pictures, readme, relations, tiny, translators
from tests.model.variants import all_variants
from tests.records import summary_of
from tests.render.browsers import unpacked
from tests.schemas import validate
from tests.test_hub import cached

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTERS = {name: manual.chapter(name).text for name in manual.CHAPTERS}
PAGES = {"README.md": README, **{f"attnviz/manual/{name}.md": text for name, text in CHAPTERS.items()}}
SAMPLES = (ROOT / "samples" / "README.md").read_text(encoding="utf-8")
_NOT_RUN = r"--engine|\[|--help|[A-Z]{3,}$|INPUT"
"""What no test runs: what needs a cluster, and what is a pattern of a command."""
COMMANDS = [command.name or command.callback.__name__ for command in app.app.registered_commands if command.callback]


def _lines(text: str) -> list[str]:
    """The command lines of a page: indented ones, and those in the code spans of its tables."""
    indented = re.findall(r"^    ((?:(?:echo|cat) .*\| )?attnviz .*?)(?: +#.*)?$", text, re.MULTILINE)
    rows = re.findall(r"^\|.*", text, re.MULTILINE)
    spans = [span for row in rows for span in re.findall(r"`((?:head [^`]*\| )?attnviz [a-z]+ [^`…]*)`", row)]
    return indented + [span.replace("\\|", "|") for span in spans if not re.search(_NOT_RUN, span)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"`attnviz {command} " in CHAPTERS["commands"]
    assert f"\n### attnviz {command}\n" in CHAPTERS["commands"]


def test_the_two_commands_that_set_everything_up_stand_in_the_readme_once() -> None:
    install = "    python -m pip install -c .ci/constraints.txt '.[offline]' && attnviz show "
    assert README.count(install) == 1
    assert README.count("\n    python -m pip install -c .ci/constraints.txt '.[test]' && python -m pytest\n") == 1


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 220


def test_every_chapter_is_listed_and_says_what_it_is_about() -> None:
    assert sorted(manual.CHAPTERS) == sorted(path.stem for path in manual.FOLDER.glob("*.md"))
    for name in manual.CHAPTERS:
        found = manual.chapter(name)
        assert found.text.startswith(f"# {found.title}\n\n{found.summary}\n\n")
        assert found.summary.endswith(".")
        assert f"[{found.title}](attnviz/manual/{name}.md): {found.summary}" in README


def test_llms_txt_is_made_from_the_pages() -> None:
    assert readme.LLMS.read_text(encoding="utf-8") == readme.llms(), "make it anew: python -m tests.readme"


def test_the_chapter_on_json_describes_every_name(tiny_attention: Attention) -> None:
    validate(made := summary_document(summary_of(tiny_attention), None))
    names = CHAPTERS["json"].split("\n## ")
    assert _described(names[2]) == list(made)
    for title, schema in zip(names[2:], ("show", "answer", "batch", "cost", "record"), strict=True):
        assert "schema_version" in _described(title), schema


def test_the_chapter_on_json_says_the_versions() -> None:
    said = dict(re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", CHAPTERS["json"], re.MULTILINE))
    assert said == {name: str(version) for name, version in schemas.VERSIONS.items()}


@pytest.mark.parametrize("name", schemas.VERSIONS)
def test_a_schema_is_one_and_says_its_version(name: str) -> None:
    schema = json.loads(schemas.schema_text(name))
    Draft202012Validator.check_schema(schema)
    assert f'"const": {schemas.VERSIONS[name]}}}' in json.dumps(schema)


def test_the_manual_names_every_ending_that_is_read_and_no_other() -> None:
    section = CHAPTERS["corpora"].split("\n## What is read\n")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\.\w+)`", section)) == {f".{name}" for name in FORMATS} | set(PACKINGS)


def _described(section: str) -> list[str]:
    """The names in the first column of the tables."""
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_the_parity_table_is_of_the_variants_that_are_tested() -> None:
    found = json.loads(readme.PARITY.read_text(encoding="utf-8"))
    assert {(family, name) for family, names in found.items() for name in names} == set(all_variants()), (
        "measure anew: python -m pytest tests/model -m parity --report -n 0"
    )


def _once(function: Callable[..., Any]) -> Callable[..., Any]:
    """A default model reads the same random tokens after each corpus, which takes half the time of a small one."""
    found: list[Any] = []

    def first(*given: Any) -> Any:
        found[:] = found or [function(*given)]
        return found[0]

    return first


@pytest.mark.real
@pytest.mark.slow
def test_the_commands_of_readme_and_samples_run(
    real_model: Model,  # noqa: ARG001  (skips where it is not installed)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(finish, "induction", _once(finish.induction))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    decoder = cached(tmp_path / "hub", tiny.llama(tmp_path / "llama"), "HuggingFaceTB/SmolLM2-135M-Instruct")
    (decoder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    gguf_files.write(tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf", LlamaForCausalLM.from_pretrained(tmp_path / "llama"))
    cached(tmp_path / "hub", tiny.t5(tmp_path / "t5"), "google-t5/t5-small")
    cached(tmp_path / "hub", translators.nllb(tmp_path / "nllb"), "facebook/nllb-200-distilled-600M")
    (tmp_path / "samples").mkdir()
    for text in (ROOT / "samples").glob("*.txt"):
        shutil.copy(text, tmp_path / "samples")
    shutil.copytree(ROOT / corpus.CORPUS, tmp_path / corpus.CORPUS)
    monkeypatch.chdir(tmp_path)
    tiny.bert(tmp_path / "my-model")
    shutil.copy(ROOT / "samples" / "river.txt", tmp_path / "prompt.txt")
    lines = dict.fromkeys(line for page in (*PAGES.values(), SAMPLES) for line in _lines(page))
    assert len(lines) > 40
    for line in lines:
        source, pipe, command = line.rpartition(" | ")
        if command.startswith("attnviz explore"):
            continue  # it needs a terminal: its own tests drive it
        piped = subprocess.run(shlex.split(source), capture_output=True, check=True).stdout if pipe else b""
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
        with pytest.raises(SystemExit) as ended:
            app.run_app()
        printed, said = capfd.readouterr()
        assert ended.value.code == 0, f"{line}: {said}"
        assert printed, line


@pytest.mark.real
def test_the_python_of_the_readme_runs(
    real_model: Model,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # it saves files
    blocks = [(page, block) for page in PAGES for block in re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)]
    assert blocks
    for page, block in blocks:
        exec(compile(block, page, "exec"), {})


@pytest.fixture(scope="module")
def analysed(real_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """The folder that the results of samples/corpus/ are in."""
    folder = tmp_path_factory.mktemp("corpus")
    corpus.analyse(folder)
    return folder


@pytest.mark.real
def test_the_queries_of_the_readme_find_what_it_shows(analysed: Path) -> None:
    shown = re.findall(r"```sql\n(.*?)```\n\n((?:\|[^\n]*\n)+)", CHAPTERS["corpora"], re.DOTALL)
    assert len(shown) >= 3
    for query, table in shown:
        assert "links.parquet" in query
        assert corpus.answer(query, analysed) == table.strip(), "make it anew: python -m tests.readme"
        assert len(table.splitlines()) > 2, f"no row: {query}"


@pytest.mark.real
def test_the_picture_of_the_corpus_is_what_batch_draws(analysed: Path) -> None:
    assert_same_picture(analysed / "results" / "heads.png", ROOT / "samples" / "corpus-heads.png")


def test_the_picture_of_relations_is_that_of_their_table(tmp_path: Path) -> None:
    now = tmp_path / "relations.png"
    now.write_bytes(relations.picture())
    assert_same_picture(now, relations.PICTURE)


@pytest.mark.real
def test_the_pictures_of_all_views_are_what_export_draws(real_model: Model, tmp_path: Path) -> None:  # noqa: ARG001
    pictures.draw_views(tmp_path)
    for name in pictures.VIEWS:
        assert_same_picture(tmp_path / name, ROOT / "samples" / name)


def assert_same_picture(now: Path, committed: Path) -> None:
    new, old = (np.asarray(Image.open(path).convert("RGB"), np.int16) for path in (now, committed))
    assert new.shape == old.shape
    # Colours may be rounded another way on another processor.
    assert np.mean(np.abs(new - old) > 4) < 1e-3, "make it anew: python -m tests.pictures"


@pytest.mark.real
def test_the_terminal_picture_is_what_show_prints(real_model: Model) -> None:  # noqa: ARG001
    assert_current("bank.svg", pictures.screen())


@pytest.mark.real
@pytest.mark.slow
def test_the_picture_of_a_decoder_is_what_show_prints(real_decoder: Path) -> None:
    assert_current("bank-smollm2.svg", pictures.screen(real_decoder))


@pytest.mark.real
def test_the_page_is_what_export_writes(real_model: Model) -> None:  # noqa: ARG001
    now, committed = pictures.page(), (ROOT / "samples" / "bank.html").read_text(encoding="utf-8")
    assert len(committed) < 300_000
    (content, (weights,)), (old, (before,)) = unpacked(now), unpacked(committed)
    # The last digits of weights depend on the processor.
    np.testing.assert_allclose(weights, before, atol=1e-4)
    for facts in (content["maps"][0], old["maps"][0]):
        for name in ("figures", "strength", "links", "error", "exact_error"):
            del facts[name]
    assert content == old, "make it anew: python -m tests.pictures"
    # So do those of scores, which are packed beside them.
    shown = (re.sub(r"<script type=.application/.*?</script>", "", page, flags=re.DOTALL) for page in (now, committed))
    assert next(shown) == next(shown), "make it anew: python -m tests.pictures"


def assert_current(name: str, now: str) -> None:
    committed = (ROOT / "samples" / name).read_text(encoding="utf-8")
    # How many bits the check agrees to depends on the processor; everything else does not.
    committed, now = (re.sub(r"<text [^>]*>✓[^<]*</text>", "", svg) for svg in (committed, now))
    assert now == committed, "make it anew: python -m tests.pictures"


def _anchor(title: str) -> str:
    """The address of a heading within its page, as GitHub makes it: without marks."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_what_the_pages_show_and_link_to_exists() -> None:
    for name, page in {**PAGES, "samples/README.md": SAMPLES}.items():
        folder = (ROOT / name).parent
        shown = re.findall(r"\]\(([^):]+)\)", page)
        shown += re.findall(r"^\| `([\w.-]+)` \|", page if page is SAMPLES else "", re.MULTILINE)
        for link in shown:
            path, _, heading = link.partition("#")
            assert (folder / path).exists(), f"{name}: {link}"
            titles = re.findall(r"^#+ (.*)", (folder / path).read_text("utf-8") if heading else "", re.MULTILINE)
            assert not heading or heading in map(_anchor, titles), f"{name}: {link}"
