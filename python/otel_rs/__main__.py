"""``python -m otel_rs``: the command ``otel-rs``."""

import sys

from otel_rs.cli import main

if __name__ == "__main__":
    sys.exit(main())
