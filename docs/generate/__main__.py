"""`python -m docs.generate`, from the project's root."""

import sys

from docs.generate import DOCS, write

if __name__ == "__main__":
    for page in write():
        sys.stdout.write(f"wrote docs/{page.relative_to(DOCS)}\n")
