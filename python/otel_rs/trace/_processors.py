"""The processors of a provider: told apart into native pipelines, which take bytes, and Python ones."""

from __future__ import annotations

from opentelemetry.sdk import trace as sdk

from otel_rs import _native


class SynchronousMultiSpanProcessor(sdk.SynchronousMultiSpanProcessor):
    """Upstream's class, which also tells the native tracers of every change to its processors."""

    def __init__(self) -> None:
        self._native = _native.Processors()
        super().__init__()

    @property
    def _span_processors(self) -> tuple[sdk.SpanProcessor, ...]:
        return self._all

    @_span_processors.setter
    def _span_processors(self, processors: tuple[sdk.SpanProcessor, ...]) -> None:
        self._all = tuple(processors)
        pipelines = []
        python = []
        for processor in self._all:
            pipeline = _pipeline_of(processor)
            if pipeline is None:
                python.append(processor)
            else:
                pipelines.append(pipeline)
        self._native.set(pipelines, python)


def native_processors(processor: sdk.SpanProcessor) -> _native.Processors:
    """What a tracer feeds for ``processor``; one that is not ours is called as a whole, as Python."""
    if isinstance(processor, SynchronousMultiSpanProcessor) and _is_as_we_made_it(
        processor, SynchronousMultiSpanProcessor
    ):
        return processor._native
    processors = _native.Processors()
    processors.set([], [processor])
    return processors


def _pipeline_of(processor: sdk.SpanProcessor) -> _native.SpanPipeline | None:
    """The pipeline that may be fed in the processor's place, or None if its own methods have to be called."""
    from otel_rs.trace.export import BatchSpanProcessor  # imports this package

    if isinstance(processor, BatchSpanProcessor) and _is_as_we_made_it(processor, BatchSpanProcessor):
        return processor._pipeline
    return None


def _is_as_we_made_it(processor: sdk.SpanProcessor, ours: type[sdk.SpanProcessor]) -> bool:
    """Whether nobody, by a subclass or a patch, wants to be called with the span."""
    return not any(
        getattr(type(processor), name) is not getattr(ours, name) or name in vars(processor)
        for name in ("on_start", "_on_ending", "on_end")
    )
