#!/usr/bin/env python
"""Django's command. For it and its development server `main` is the place to set up telemetry."""

import os
import sys

from instrument import instrument


def main() -> None:
    """Run administrative tasks."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "message.settings")

    instrument()

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
