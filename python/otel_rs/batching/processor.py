"""What the batch processors of spans and of log records have in common: a native batch processor for a native exporter,
a Python thread for any other."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, cast

from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.sdk._shared_internal._processor_metrics import create_processor_metrics
from opentelemetry.semconv._incubating.attributes.otel_attributes import OtelComponentTypeValues

from otel_rs import _native
from otel_rs._shown import shown
from otel_rs.batching._native_worker import NativeBatchProcessor
from otel_rs.batching._python_worker import PythonBatchProcessor, RunExport, run_plainly
from otel_rs.batching._successive import SuccessiveProcessors
from otel_rs.batching.steps import NativeProcessor
from otel_rs.exporter.otlp._exporter import follow_exporter
from otel_rs.settings import read
from otel_rs.settings.kinds import Number
from otel_rs.settings.reading import batch_size, choose
from otel_rs.settings.table import INTERNAL_METRICS, MAX_MILLIS, MAX_REQUEST_BYTES, Setting

if TYPE_CHECKING:
    from otel_rs.batching._metrics import BatchProcessorMetrics

DEFAULT_FLUSH_TIMEOUT_MILLIS = 30_000

# Arguments may have fractions, and any size.
_ANY_DELAY = Number(unit="milliseconds", minimum=0, above_minimum=True, whole=False, infinite=True)
_ANY_TIMEOUT = Number(unit="milliseconds", minimum=0, whole=False, infinite=True)


class Signal(NamedTuple):
    """In what the batches of the signals differ."""

    name: Literal["traces", "logs"]
    exporting: str
    """Upstream's word for an item."""
    component: OtelComponentTypeValues
    failure: object
    """The result of an export that failed."""
    push: Any
    """The native batch processor's method that takes an item."""
    max_queue_size: Setting
    schedule_delay: Setting
    max_export_batch_size: Setting
    export_timeout: Setting
    max_queue_bytes: Setting
    max_concurrent_exports: Setting
    run_export: RunExport = run_plainly
    """Runs an export by a Python exporter."""


class Sizes(NamedTuple):
    max_queue_size: int | None
    schedule_delay_millis: float | None
    max_export_batch_size: int | None
    export_timeout_millis: float | None


class Batching(NativeProcessor):
    """Base of the batch processors."""

    _signal: ClassVar[Signal]
    # Upstream's.
    _validate_arguments: Any

    _batch_processor: NativeBatchProcessor | PythonBatchProcessor | SuccessiveProcessors

    def _begin(
        self,
        exporter: Any,
        native: _native.OtlpExporter | None,
        given: Sizes,
        meter_provider: MeterProvider | None,
        max_concurrent_exports: int | None,
    ) -> None:
        """With ``native``, the native part of the exporter."""
        sizes = self._sizes(given)
        if max_concurrent_exports is not None and max_concurrent_exports <= 0:
            raise ValueError("max_concurrent_exports must be a positive integer.")
        concurrent = choose(self._signal.max_concurrent_exports, "max_concurrent_exports", max_concurrent_exports).value
        self._python_batches = partial(_python_batches, self._signal, exporter, sizes, meter_provider)
        if native:
            self._batch_processor = self._native_batches(exporter, native, sizes, concurrent, meter_provider)
            follow_exporter(exporter, self)
        else:
            self._batch_processor = self._python_batches()

    def _sizes(self, given: Sizes) -> Sizes:
        """From the arguments and the environment. Arguments that upstream refuses raise in its words."""
        max_queue_size, schedule_delay_millis, max_export_batch_size, export_timeout_millis = given
        signal = self._signal
        self._validate_arguments(
            1 if max_queue_size is None else max_queue_size,
            1 if schedule_delay_millis is None else schedule_delay_millis,
            1 if max_export_batch_size is None else min(max_export_batch_size, 1),
        )
        queue = choose(signal.max_queue_size, "max_queue_size", max_queue_size)
        batch = choose(signal.max_export_batch_size, "max_export_batch_size", max_export_batch_size)
        if not (batch.from_variable or queue.from_variable):
            self._validate_arguments(queue.value, 1, batch.value)
        return Sizes(
            queue.value,
            choose(
                signal.schedule_delay, "schedule_delay_millis", schedule_delay_millis, argument_kind=_ANY_DELAY
            ).value,
            batch_size(batch, queue),
            choose(
                signal.export_timeout, "export_timeout_millis", export_timeout_millis, argument_kind=_ANY_TIMEOUT
            ).value,
        )

    def _native_batches(
        self,
        exporter: Any,
        native: _native.OtlpExporter,
        sizes: Sizes,
        max_concurrent_exports: int,
        meter_provider: MeterProvider | None,
    ) -> NativeBatchProcessor:
        self._native_processor = _native.BatchProcessor(
            native,
            *cast("tuple[int, float, int, float]", sizes),
            read(self._signal.max_queue_bytes).value,
            min(read(MAX_REQUEST_BYTES).value, native.max_request_size or sys.maxsize),
            max_concurrent_exports,
        )
        metrics: BatchProcessorMetrics | None = None
        if read(INTERNAL_METRICS).value:
            # Not imported where nobody measures.
            from otel_rs.batching import _metrics

            metrics = _metrics.BatchProcessorMetrics(
                self._signal.name,
                self._signal.component,
                self._native_processor,
                meter_provider,
                cast("int", sizes.max_queue_size),
            )
        return NativeBatchProcessor(exporter, self._native_processor, self._signal.push, metrics)

    def exporter_left_native(self) -> None:
        """The exporter is a Python one from now on: the stock exporter exports in its place."""
        before = self._batch_processor
        if isinstance(before, NativeBatchProcessor) and not before.is_shut_down():
            self._batch_processor = SuccessiveProcessors(before, self._python_batches())
            self._native_processor = None
            self._methods_changed()

    def __repr__(self) -> str:
        return shown(self, "exporter", lambda: self._batch_processor._exporter)

    def counts(self) -> dict[str, int]:
        """What became of the items: ``created`` = ``exported`` + ``rejected`` + ``failed`` + ``dropped`` + ``pending``.

        ``rejected`` the receiver refused in a request that it took; ``failed`` were in exports that failed; ``dropped``
        found no room, came after the shutdown, were left at its deadline, or were too large for the receiver each by
        itself. Of the ``pending``, ``in_flight`` are in exports under way.

        With a Python exporter they are by the results that it returns.
        """
        return self._batch_processor.counts()


def _python_batches(
    signal: Signal, exporter: Any, sizes: Sizes, meter_provider: MeterProvider | None
) -> PythonBatchProcessor:
    return PythonBatchProcessor(
        signal.failure,
        signal.run_export,
        exporter,
        min(cast("float", sizes.schedule_delay_millis), MAX_MILLIS),  # a thread cannot wait for longer
        sizes.max_export_batch_size,
        sizes.export_timeout_millis,
        sizes.max_queue_size,
        signal.exporting,
        create_processor_metrics(
            signal.name,
            signal.component,
            meter_provider or get_meter_provider(),
            capacity=sizes.max_queue_size,
            enabled=read(INTERNAL_METRICS).value,
        ),
    )
