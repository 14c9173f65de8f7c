"""A Celery application without tracing: `celery -A shop worker` runs its tasks."""

import logging
import os

from celery import Celery

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("shop", broker=REDIS_URL, backend=REDIS_URL)
# Celery would take away the root logger's handlers, and with them the one that sends log lines to the Collector.
app.conf.worker_hijack_root_logger = False
logging.basicConfig()

logger = logging.getLogger(__name__)


class CourierBusyError(Exception):
    pass


@app.task
def take_order(number: int) -> None:
    """The order is sent by one task and paid by another, which this task starts."""
    send.delay(number)
    charge.delay(number)


@app.task(bind=True)
def send(self, number: int) -> str:
    """The courier is busy at the first try."""
    if self.request.retries == 0:
        raise self.retry(exc=CourierBusyError("the courier is busy"), countdown=0.1, max_retries=3)
    return f"order {number} is on its way"


@app.task
def charge(number: int) -> str:
    if number == 13:
        logger.error("no money for order %d", number)
        raise ValueError("the card was refused")
    return f"order {number} is paid"
