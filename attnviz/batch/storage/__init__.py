"""Where texts lie and results go: folders of this machine, and all that fsspec reaches by an address."""
