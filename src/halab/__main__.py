"""`python -m halab`: the command without an installed script."""

from halab.cli import main

if __name__ == "__main__":
    main()
