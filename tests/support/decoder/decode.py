"""An OTLP receiver that shares no code with the agent: gRPC and HTTP, one JSON object a line for each item.

Prints first a line {"grpc": PORT, "http": PORT}. Uses the packages opentelemetry-proto and grpcio only.
"""

import gzip
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc

LOCK = threading.Lock()


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def emit(item):
    with LOCK:
        print(json.dumps(item), flush=True)


def take_logs(request, over):
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                emit({
                    "signal": "logs", "over": over,
                    "resource": attributes(resource.resource.attributes), "scope": scope.scope.name,
                    "time": record.time_unix_nano, "observed": record.observed_time_unix_nano,
                    "severity": record.severity_number, "level": record.severity_text,
                    "event": record.event_name, "body": record.body.string_value,
                    "attributes": attributes(record.attributes),
                })


def take_metrics(request, over):
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                for point in data.data_points:
                    emit({
                        "signal": "metrics", "over": over,
                        "resource": attributes(resource.resource.attributes), "scope": scope.scope.name,
                        "name": metric.name, "unit": metric.unit, "kind": kind,
                        "monotonic": getattr(data, "is_monotonic", None),
                        "cumulative": getattr(data, "aggregation_temporality", None) == 2,
                        "point": MessageToDict(point), "attributes": attributes(point.attributes),
                    })


class Logs(logs_grpc.LogsServiceServicer):
    def Export(self, request, context):
        take_logs(request, "grpc")
        return logs.ExportLogsServiceResponse()


class Metrics(metrics_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        take_metrics(request, "grpc")
        return metrics.ExportMetricsServiceResponse()


class Http(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/logs":
            take_logs(logs.ExportLogsServiceRequest.FromString(body), "http")
        elif self.path == "/v1/metrics":
            take_metrics(metrics.ExportMetricsServiceRequest.FromString(body), "http")
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    server = grpc.server(futures.ThreadPoolExecutor(2))
    logs_grpc.add_LogsServiceServicer_to_server(Logs(), server)
    metrics_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
    grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
    print(json.dumps({"grpc": grpc_port, "http": http.server_port}), flush=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
