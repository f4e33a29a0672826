"""Hold the share of exported names whose type is known to a floor (`make verifytypes`).

    python scripts/type_completeness.py PYRIGHT

pyright looks for mdtree in the Python that is first on PATH.
"""

from __future__ import annotations

import json
import subprocess
import sys

FLOOR = 0.99  # raise it when the share has grown


def main() -> None:
    """Print what is not known, and fail below the floor."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):  # noqa: PLR2004 - one argument
        print(__doc__)
        sys.exit(0 if {"-h", "--help"} & set(sys.argv[1:]) else 2)
    ran = subprocess.run(
        [sys.argv[1], "--verifytypes", "mdtree", "--ignoreexternal", "--outputjson"],
        check=False,  # 1 below 100 %
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(ran.stdout)["typeCompleteness"]
    for symbol in found["symbols"]:
        if symbol["isExported"] and not symbol["isTypeKnown"]:
            print(symbol["name"])
    share = found["completenessScore"]
    print(f"{share:.1%} of the exported names have a known type; the floor is {FLOOR:.0%}")
    sys.exit(share < FLOOR)


if __name__ == "__main__":
    main()
