"""``python -m zhiliu``."""

from zhiliu.cli import main

main()
