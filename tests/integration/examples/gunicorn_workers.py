"""When Gunicorn's workers may be stopped."""

from __future__ import annotations

from ..program import Program, wait_until

# A worker loses a stop signal that arrives before this call, and Gunicorn kills it 30 seconds later.
CONFIGURATION = """\
def post_worker_init(worker):
    worker.log.info("Worker takes signals")
"""


def wait_until_they_take_signals(program: Program, workers: int = 2) -> None:
    wait_until(
        lambda: program.process.poll() is not None or program.output().count("Worker takes signals") == workers,
        program.output,
    )
    assert program.process.poll() is None, program.output()
