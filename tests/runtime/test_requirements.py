"""Old releases of other packages are refused where they are used."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec

import pytest

from mdtree.exceptions import MissingExtraError
from mdtree.runtime.requirements import OLDEST, refuse_older
from tests.support.paths import ROOT

PYPROJECT = ROOT / "pyproject.toml"


@pytest.mark.parametrize(
    "version", ["5.2", "5.2.99", "4.57.1", "5", "5.2.0.dev0", "0", "", "unknown"]
)
def test_what_is_older_is_refused_with_what_to_do(version):
    with pytest.raises(
        MissingExtraError, match=r"needs 5\.3 or later.*pip install --upgrade 'transformers>=5\.3'"
    ):
        refuse_older("transformers", version)


@pytest.mark.parametrize("version", ["5.3", "5.3.0", "5.10", "5.3.0.dev0", "6", "10.1+cpu"])
def test_what_is_not_older_is_taken(version):
    refuse_older("transformers", version)


def test_pip_asks_for_these_releases_or_later_ones():
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    asked = [project["dependencies"], *project["optional-dependencies"].values()]
    lines = "\n".join(line for part in asked for line in part)
    floors = dict(re.findall(r"^([\w-]+)>=([\d.]+)", lines, re.MULTILINE))
    for package in OLDEST:
        refuse_older(package, floors[package])


USES = {  # package -> what mdtree does with it
    "torch": "import sys; sys.modules.pop('mdtree.batch', None); import mdtree.batch",
    "ray": "import mdtree.executors.ray_backend",
    "transformers": """
import json, pathlib
from mdtree.models.huggingface import from_folder
pathlib.Path("config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
from_folder(pathlib.Path())
""",
    "pyarrow": """
import pathlib
from mdtree.rows.parquet import write_parquet
write_parquet([], pathlib.Path("rows.parquet"))
""",
}


@pytest.mark.parametrize("package", USES)
def test_an_old_release_is_refused_where_it_is_used(tmp_path, package, ready_code):
    if find_spec(package) is None:
        pytest.skip(f"needs {package}")
    code = f"""
import {package}
{package}.__version__ = "1.0"
from mdtree.exceptions import MissingExtraError
try:
    exec({USES[package]!r})
except MissingExtraError as error:
    print(error.exit_code, error)
"""
    ran = ready_code(code, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(
        f"3 {package} 1.0 is installed, but mdtree needs {OLDEST[package]}"
    )
    assert not (tmp_path / "rows.parquet").exists()
