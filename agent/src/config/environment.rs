//! The standard OpenTelemetry environment variables. An invalid value is reported and ignored; an
//! empty one counts as unset:
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use serde_json::{Map, Value};

use super::check::check;
use super::error::{ConfigError, ErrorKind, Place, Problem};
use super::key::KeyPath;
use super::layers::{Merged, Origin};

/// A supported environment variable.
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// The setting that it overrides.
    pub(super) key: &'static str,
    /// Format of its value, for the documentation and error messages.
    pub(super) form: &'static str,
    read: fn(&str) -> Result<Value, String>,
}

/// The variables of a destination: for all signals, or for one.
macro_rules! destination {
    ($($signal:literal, $key:literal)?) => {
        [
            Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $($signal,)? "ENDPOINT"),
                key: concat!("collector.", $($key,)? "endpoint"),
                form: "address",
                read: text,
            },
            Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $($signal,)? "PROTOCOL"),
                key: concat!("collector.", $($key,)? "protocol"),
                form: "`grpc`, `http/protobuf` or `http/json`",
                read: text,
            },
            Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $($signal,)? "HEADERS"),
                key: concat!("collector.", $($key,)? "headers"),
                form: "`name=value,name=value`, values percent-encoded",
                read: pairs,
            },
            Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $($signal,)? "COMPRESSION"),
                key: concat!("collector.", $($key,)? "compression"),
                form: "`none`, `gzip` or `zstd`",
                read: text,
            },
            Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $($signal,)? "TIMEOUT"),
                key: concat!("collector.", $($key,)? "timeout"),
                form: "milliseconds; `0` means one year",
                read: timeout,
            },
            Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $($signal,)? "CERTIFICATE"),
                key: concat!("collector.", $($key,)? "certificate"),
                form: "path",
                read: text,
            },
            Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $($signal,)? "CLIENT_CERTIFICATE"),
                key: concat!("collector.", $($key,)? "client_certificate"),
                form: "path",
                read: text,
            },
            Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $($signal,)? "CLIENT_KEY"),
                key: concat!("collector.", $($key,)? "client_key"),
                form: "path",
                read: text,
            },
        ]
    };
}

/// All supported variables, in ascending precedence.
pub(super) const VARIABLES: [&[Variable]; 5] = [
    &destination!(),
    &destination!("METRICS_", "metrics."),
    &destination!("TRACES_", "traces."),
    &destination!("LOGS_", "logs."),
    &OTHERS,
];

const OTHERS: [Variable; 3] = [
    Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        key: "resource.attributes",
        form: "`key=value,key=value`, percent-encoded; `deployment.environment.name` sets `resource.environment`",
        read: pairs,
    },
    Variable { name: "OTEL_SERVICE_NAME", key: "resource.attributes.service.name", form: "text", read: text },
    Variable {
        name: "OTEL_METRIC_EXPORT_INTERVAL",
        key: "host.export_interval",
        form: "milliseconds",
        read: milliseconds,
    },
];

/// Merges the supported variables of `environment` into `merged`. Returns the invalid ones, which
/// are ignored.
pub(super) fn apply(merged: &mut Merged, environment: &[(String, String)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for variable in VARIABLES.into_iter().flatten() {
        let set = environment.iter().find(|(name, value)| name == variable.name && !value.trim().is_empty());
        let Some((_, value)) = set else { continue };
        match layer(variable, value.trim()) {
            Ok(layer) => merged.apply(&layer, &|_| Origin::Environment { variable: variable.name.to_owned() }),
            Err(error) => problems.push(Problem { error, effect: "the variable is ignored".to_owned() }),
        }
    }
    problems
}

fn layer(variable: &Variable, value: &str) -> Result<Value, ConfigError> {
    let error = |key: String, message: String, help: Option<Box<str>>| ConfigError {
        kind: ErrorKind::Value,
        place: Place::Variable(variable.name.to_owned()),
        key: Some(key),
        message,
        help: help.or_else(|| Some(format!("expected format: {}", variable.form).into())),
        excerpt: None,
    };
    let value = (variable.read)(value).map_err(|message| error(variable.key.to_owned(), message, None))?;
    let mut tree = KeyPath::from_dotted(variable.key).tree(value);
    move_environment_name(&mut tree);
    check(&tree).map_err(|finding| error(finding.path.to_string(), finding.message, finding.help))?;
    Ok(tree)
}

/// Moves `deployment.environment.name` to its own setting, which would override the attribute.
fn move_environment_name(tree: &mut Value) {
    let Some(resource) = tree.get_mut("resource").and_then(Value::as_object_mut) else { return };
    let attributes = resource.get_mut("attributes").and_then(Value::as_object_mut);
    if let Some(name) = attributes.and_then(|attributes| attributes.shift_remove("deployment.environment.name")) {
        resource.insert("environment".to_owned(), name);
    }
}

#[allow(clippy::unnecessary_wraps, reason = "same signature as the other formats")]
fn text(value: &str) -> Result<Value, String> {
    Ok(value.into())
}

fn milliseconds(value: &str) -> Result<Value, String> {
    match value.parse::<u64>() {
        Ok(milliseconds) => Ok(format!("{milliseconds}ms").into()),
        Err(_) => Err(format!("{value:?} is not a whole number of milliseconds")),
    }
}

/// Parses milliseconds. Zero means no timeout; the specification allows a very long timeout
/// instead.
fn timeout(value: &str) -> Result<Value, String> {
    match milliseconds(value)? {
        zero if zero == "0ms" => Ok("365d".into()),
        other => Ok(other),
    }
}

/// Parses `key=value` pairs separated by commas, percent-encoded as in W3C Baggage but without its
/// properties. One invalid entry makes the whole list invalid. Error messages do not quote values
/// because they may be secret.
pub(super) fn pairs(list: &str) -> Result<Value, String> {
    let mut map = Map::new();
    for (at, pair) in list.split(',').enumerate().filter(|(_, pair)| !pair.trim().is_empty()) {
        let wrong = |what: &str| format!("entry {} of the list {what}", at + 1);
        let (key, value) = pair.split_once('=').ok_or_else(|| wrong("has no `=`"))?;
        let decoded = |text: &str| {
            percent_decoded(text.trim())
                .ok_or_else(|| wrong("contains a `%` that is not part of percent-encoded UTF-8; write `%25` for `%`"))
        };
        map.insert(decoded(key)?, decoded(value)?.into());
    }
    Ok(Value::Object(map))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (high, low) = (*rest.first()? as char, *rest.get(1)? as char);
            bytes.push(u8::try_from(high.to_digit(16)? * 16 + low.to_digit(16)?).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
