"""The recipes of docs/guide/farm.md run, as far as one machine can: what a scheduler would start is started here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import documents
from conftest import Texsynth

PAGE = "docs/guide/farm.md"
SHIM = """#!{python}
import json, os, sys
if "--list-jobs" in sys.argv:
    print(open("listed.txt").read(), end="")
with open("{calls}", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""
PARALLEL = "#!/bin/sh\nexec xargs -d '\\n' -P \"$2\" -I{} sh -c '{}'\n"  # where GNU parallel is missing: --jobs N

Calls = Callable[..., list[list[str]]]


def recipe(heading: str) -> str:
    """The block of code below a heading of the page."""
    section = documents.text_of(PAGE).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```\w+\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return str(block)


@pytest.fixture(autouse=True)
def folder(texsynth: Texsynth, tmp_path: Path) -> Path:  # noqa: ARG001 (for its working folder)
    return documents.reader(tmp_path, PAGE)


@pytest.fixture
def calls(tmp_path: Path, texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Run a recipe in a shell in which `texsynth` only notes how it is called; gives the words of each call. A list of
    jobs is what the command itself prints."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def program(name: str, text: str) -> None:
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    def run(script: str) -> list[list[str]]:
        for line in script.splitlines():
            if "--list-jobs" in line:
                words = shlex.split(line.partition(" > ")[0].replace("$PWD", str(Path.cwd())))
                listed = texsynth(*words[1:])
                assert listed.code == 0, listed
                Path("listed.txt").write_text(listed.out)
        noted = tmp_path / "calls.jsonl"
        noted.unlink(missing_ok=True)
        program("texsynth", SHIM.format(python=sys.executable, calls=noted))
        program("cuecmd", 'while read -r line; do sh -c "$line"; done < "$1"\n')
        if shutil.which("parallel") is None:
            program("parallel", PARALLEL)
        subprocess.run(["bash", "-e", "-c", script], check=True)
        return [json.loads(line) for line in noted.read_text().splitlines()]

    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return run


def made(folder: str = "made") -> set[str]:
    return {path.stem for path in Path(folder).glob("*.png")}


def photos() -> set[str]:
    return {path.stem for path in Path("photos").iterdir()}


@pytest.mark.parametrize("heading", ["GNU parallel", "OpenCue"])
def test_command_lines(heading: str, calls: Calls, texsynth: Texsynth) -> None:
    listing, *lines = calls(recipe(heading))
    assert "--list-jobs" in listing and len(lines) == len(photos()) == 2
    for words in lines:
        assert texsynth(*words).code == 0
    assert made() == photos()
    assert texsynth(*listing).out == ""  # nothing is missing


def test_job_arrays(calls: Calls, texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    script = recipe("Slurm job arrays")
    first, last = map(int, re.findall(r"--array=(\d+)-(\d+)", script)[0])
    (words,) = calls(script)
    for task in range(first, last + 1):
        for name, value in {"ID": task, "COUNT": last - first + 1, "MIN": first}.items():
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
        assert texsynth(*words).code == 0
    assert made() == photos()


def test_a_cluster_of_this_machine(calls: Calls, texsynth: Texsynth) -> None:
    """tests/test_cluster.py has such a cluster at work."""
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    (words,) = calls(recipe("A Dask cluster on this machine"))
    assert texsynth(*words, "--dry-run").code == 0


def test_a_cluster_of_slurm(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> None:
    """With workers in threads of this process in place of jobs."""
    distributed = pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    pytest.importorskip("cryptography", reason="the extra [cluster] is not installed")
    ran: list[Any] = []
    really = subprocess.run

    class SLURMCluster(distributed.LocalCluster):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            assert set(options) == {"cores", "processes", "memory", "walltime"}
            local = {"n_workers": 0, "threads_per_worker": 1, "processes": False, "protocol": "tcp"}
            super().__init__(**local, host="127.0.0.1", dashboard_address=None)

        def scale(self, jobs: int) -> Any:
            return super().scale(min(jobs, 2))

    def run(words: list[str], *rest: Any, **options: Any) -> Any:
        if words[0] != "texsynth":  # of Dask
            return really(words, *rest, **options)
        return ran.append(texsynth(*words[1:]))

    module = ModuleType("dask_jobqueue")
    module.SLURMCluster = SLURMCluster  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dask_jobqueue", module)
    monkeypatch.setattr(subprocess, "run", run)
    exec(compile(recipe("Dask on Slurm"), PAGE, "exec"), {"__name__": "__main__"})
    assert ran[0].code == 0 and made() == photos()


def test_open_job_description(texsynth: Texsynth) -> None:
    template = yaml.safe_load(recipe("Open Job Description"))
    (step,) = template["steps"]
    (parameter,) = step["parameterSpace"]["taskParameterDefinitions"]
    action = step["script"]["actions"]["onRun"]
    first, last = map(int, parameter["range"].split("-"))
    assert action["command"] == "texsynth"
    for share in range(first, last + 1):
        words = [
            word.replace(f"{{{{Task.Param.{parameter['name']}}}}}", str(share)).replace("/shared/", f"{Path.cwd()}/")
            for word in action["args"]
        ]
        assert texsynth(*words, "--quality", "draft").code == 0
    assert made() == photos()


def test_snakemake(texsynth: Texsynth) -> None:
    (line,) = re.findall(r'shell: "(.*)"', recipe("Snakemake"))
    Path("made").mkdir()
    for photo in Path("photos").iterdir():
        words = shlex.split(line.format(input=photo, output=f"made/{photo.stem}.png", threads=1))
        assert texsynth(*words[1:]).code == 0
    assert made() == photos()
