// Sends a span, a counter and a log record as an app with OpenTelemetry's own SDK does:
// `send.cjs grpc|http-protobuf|http-json ENDPOINT`, with NODE_PATH naming the modules of package.json.
"use strict";

const [protocol, endpoint] = process.argv.slice(2);
const flavour = { grpc: "grpc", "http-protobuf": "proto", "http-json": "http" }[protocol];
const exporter = (signal, name) => {
  const Exporter = require(`@opentelemetry/exporter-${signal}-otlp-${flavour}`)[name];
  const path = { trace: "/v1/traces", metrics: "/v1/metrics", logs: "/v1/logs" }[signal];
  return new Exporter({ url: protocol === "grpc" ? endpoint : endpoint + path });
};

const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { LoggerProvider, SimpleLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { diag, DiagConsoleLogger, DiagLogLevel } = require("@opentelemetry/api");

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);
const resource = resourceFromAttributes({ "service.name": `javascript-${protocol}` });

async function main() {
  const tracers = new BasicTracerProvider({
    resource,
    spanProcessors: [new SimpleSpanProcessor(exporter("trace", "OTLPTraceExporter"))],
  });
  tracers.getTracer("send").startSpan(`javascript-span-${protocol}`).end();
  const reader = new PeriodicExportingMetricReader({ exporter: exporter("metrics", "OTLPMetricExporter") });
  const meters = new MeterProvider({ resource, readers: [reader] });
  meters.getMeter("send").createCounter(`javascript_count_${protocol.replace("-", "_")}`).add(3);
  const processor = new SimpleLogRecordProcessor({ exporter: exporter("logs", "OTLPLogExporter") });
  const loggers = new LoggerProvider({ resource, processors: [processor] });
  loggers.getLogger("send").emit({ body: `javascript record over ${protocol}`, severityNumber: 9 });
  await Promise.all([tracers.shutdown(), meters.shutdown(), loggers.shutdown()]);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
