"""Calls the task of celery_app.py; the argument is the number of calls. Waits for the answers."""

import sys

from celery_app import app, work

results = [work.delay() for _ in range(int(sys.argv[1]))]
for result in results:
    result.get(timeout=30)
app.close()
