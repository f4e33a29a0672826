"""What a new Python has loaded after it has run this and that."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import json, sys
loaded = []
for code in json.loads(sys.argv[1]):
    try:
        exec(code, {})
    except SystemExit as stop:
        assert stop.code in (0, None), (code, stop.code)
    loaded.append(sorted(sys.modules))
print(json.dumps(loaded))
"""


def loaded_by(codes, folder=None):
    """Run one code after the other, and list what is loaded after each: {code: {module, ...}}.

    All in one process, which takes the time of one: what is not there after the last was loaded by
    none of them.
    """
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(codes)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(zip(codes, map(set, json.loads(ran.stdout.splitlines()[-1])), strict=True))
