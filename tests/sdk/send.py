"""Sends a span and a counter as an app with OpenTelemetry's own SDK does: `send.py grpc|http ENDPOINT`."""

import sys

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

protocol, endpoint = sys.argv[1:]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    spans, metrics = OTLPSpanExporter(endpoint=endpoint), OTLPMetricExporter(endpoint=endpoint)
else:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    spans = OTLPSpanExporter(endpoint=endpoint + "/v1/traces")
    metrics = OTLPMetricExporter(endpoint=endpoint + "/v1/metrics")

resource = Resource.create({"service.name": f"python-{protocol}"})
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(SimpleSpanProcessor(spans))
with tracers.get_tracer("send").start_as_current_span(f"span-over-{protocol}"):
    pass
meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(metrics)])
meters.get_meter("send").create_counter(f"count_over_{protocol}").add(3)
tracers.shutdown()
meters.shutdown()
