"""`python -m mdtree` is the command `mdtree`."""

from mdtree.cli import main

if __name__ == "__main__":
    main()
