"""The getters and setters of Kafka's instrumentations.

Their clients are not in the development set, for a program under opentelemetry-instrument would import all of them.
The instrumentations use them in annotations and as base classes until they instrument, so empty classes stand in.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any
from unittest import mock

CLIENTS = {
    "aiokafka": ["AIOKafkaConsumer", "AIOKafkaProducer"],
    "confluent_kafka": ["Consumer", "Producer"],
    "kafka": [],
    "kafka.record": [],
    "kafka.record.abc": ["ABCRecord"],
}


def clients() -> dict[str, ModuleType]:
    modules = {name: ModuleType(name) for name in CLIENTS}
    for name, classes in CLIENTS.items():
        vars(modules[name]).update({cls: type(cls, (), {}) for cls in classes})
    return modules


# What is imported meanwhile is forgotten afterwards.
with mock.patch.dict(sys.modules, clients()):
    kafka: Any = importlib.import_module("opentelemetry.instrumentation.kafka.utils")
    confluent_kafka: Any = importlib.import_module("opentelemetry.instrumentation.confluent_kafka.utils")
    aiokafka: Any = importlib.import_module("opentelemetry.instrumentation.aiokafka.utils")

kafka_getter, kafka_setter = kafka._kafka_getter, kafka._kafka_setter
confluent_getter, confluent_setter = confluent_kafka._kafka_getter, confluent_kafka._kafka_setter
aiokafka_getter, aiokafka_setter = aiokafka._aiokafka_getter, aiokafka._aiokafka_setter
