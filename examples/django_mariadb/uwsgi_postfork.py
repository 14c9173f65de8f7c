"""uWSGI forks its workers, too: each sets up its own telemetry."""

import os

from instrument import instrument
from uwsgidecorators import postfork


@postfork
def init_tracing() -> None:
    # Django's instrumentation looks at the settings, before `wsgi.py` says where they are.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "message.settings")
    instrument()
