"""``python -m attnviz``: the same as ``attnviz``."""

from attnviz.cli.signals import main

if __name__ == "__main__":
    main()
