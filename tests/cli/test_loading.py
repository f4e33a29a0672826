"""Torch is loaded without looking for garbage, and that alone."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap

import pytest

from mdtree.cli.loading import loading


def run(code):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True
    ).stdout


def test_no_garbage_is_looked_for_while_torch_is_loaded():
    code = """
        import gc, sys
        from mdtree.cli.loading import loading
        with loading():
            assert not gc.isenabled()
            before = [each["collections"] for each in gc.get_stats()]
            import torch
            assert [each["collections"] for each in gc.get_stats()] == before
        assert gc.isenabled()
        print(gc.get_freeze_count() > 50_000)
    """
    assert run(code) == "True\n"


def test_garbage_is_looked_for_again_after_a_failure():
    code = """
        import gc
        from mdtree.cli.loading import loading
        try:
            with loading():
                import mdtree.no_such_module
        except ModuleNotFoundError:
            print(gc.isenabled())
    """
    assert run(code) == "True\n"


def test_what_others_have_switched_off_stays_off():
    code = """
        import gc
        from mdtree.cli.loading import loading
        gc.disable()
        with loading():
            pass
        print(gc.isenabled(), gc.get_freeze_count())
    """
    assert run(code) == "False 0\n"


def test_where_torch_is_loaded_nothing_is_changed():
    import torch  # noqa: F401 - it is there

    before = gc.isenabled(), gc.get_freeze_count()
    with loading():
        assert gc.isenabled() == before[0]
    assert (gc.isenabled(), gc.get_freeze_count()) == before


@pytest.mark.parametrize(
    ("command", "module"), [("measure", "measure"), ("diagnose", "judged_rows")]
)
def test_a_command_has_loaded_torch_so_before_it_measures(command, module, tmp_path):
    (tmp_path / "mdtree.yaml").touch()
    code = f"""
        import gc
        from mdtree.cli import main, {module}
        def make_request(*_, **__):
            print(gc.isenabled(), gc.get_freeze_count() > 50_000)
            raise SystemExit(0)
        {module}.make_request = make_request
        main([{command!r}, {str(tmp_path)!r}])
    """
    assert run(code) == "True True\n"
