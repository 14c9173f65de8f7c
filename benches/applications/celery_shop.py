"""The shop as a Celery task. There is no broker: a worker's tracer is called with what a message would contain."""

import logging

import celery
from shop import Shop, log_to_null

log_to_null()
# Its own line for each task would be a second one.
logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
application = celery.Celery("shop", broker="memory://")
shop = Shop()


@application.task(name="order", ignore_result=True)
def order(number: int) -> None:
    shop.order(number)
