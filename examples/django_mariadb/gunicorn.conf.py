"""Gunicorn forks its workers: each sets up its own telemetry."""

from typing import Any

from instrument import instrument

wsgi_app = "message.wsgi"
workers = 2
# Django's instrumentation looks at the settings, before `wsgi.py` says where they are.
raw_env = ["DJANGO_SETTINGS_MODULE=message.settings"]


def post_fork(server: Any, worker: Any) -> None:
    instrument()
