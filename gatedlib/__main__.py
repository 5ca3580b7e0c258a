"""Says where the command `python -m gatedlib claims` went."""

import sys

if __name__ == "__main__":
    sys.exit("The claims of the paper are measured by: python -m gatedlib_book " + " ".join(sys.argv[1:] or ["claims"]))
