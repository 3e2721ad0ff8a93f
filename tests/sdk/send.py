"""Sends a span, a counter and a log record as an app with OpenTelemetry's own SDK does:
`send.py grpc|http-protobuf|http-json ENDPOINT`."""

import sys

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

protocol, endpoint = sys.argv[1:]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
elif protocol == "http-protobuf":
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter


def path(signal):
    return endpoint if protocol == "grpc" else f"{endpoint}/v1/{signal}"


resource = Resource.create({"service.name": f"python-{protocol}"})
name = protocol.replace("-", "_")
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=path("traces"))))
with tracers.get_tracer("send").start_as_current_span(f"span-over-{protocol}", attributes={"list": [], "numbers": [1, 2]}):
    pass
reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=path("metrics")))
meters = MeterProvider(resource=resource, metric_readers=[reader])
meters.get_meter("send").create_counter(f"count_over_{name}").add(3)
loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint=path("logs"))))
loggers.get_logger("send").emit(LogRecord(body=f"record over {protocol}", attributes={"nothing": {}}))
tracers.shutdown()
meters.shutdown()
loggers.shutdown()
