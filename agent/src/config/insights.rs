//! The io.Insights settings of io.Connect as a layer of the agent's settings, if
//! `connect.use_insights_settings` is on: addresses, headers, resource attributes, redaction and
//! filters of logs.
//!
//! They are in `system.json` under `insights`, in older versions under `otel` (docs.interop.io,
//! Insights > Configuration; schema 10.2 of io.Connect). The layer ranks between the defaults and
//! all settings of the agent itself. Only redaction patterns and log filters are appended to the
//! lists of the layers above.
//!
//! io.Insights sends JSON over HTTP to the exact address of each signal, so the agent does the
//! same. If the agent's own settings contain a collector address, neither addresses nor headers are
//! used: they belong to another collector.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::check::check;
use super::error::{ConfigError, ErrorKind, Place, Problem};
use super::file;
use super::key::KeyPath;
use super::values::{Template, is_loopback};
use crate::otlp::Signal;

/// Names of the section, the newer one first.
const SECTIONS: [&str; 2] = ["insights", "otel"];

/// The settings found in `system.json`.
#[derive(Default)]
pub(super) struct Insights {
    /// The layer.
    pub(super) tree: Value,
    /// Items to append to lists: the JSON pointer of the list, and the items.
    pub(super) additions: [(&'static str, Vec<Value>); 2],
    /// Settings that cannot be used.
    pub(super) problems: Vec<Problem>,
}

/// Reads the section of the file.
///
/// `lookup` returns environment variables. `own_ports` are the ports of the agent's receiver: an
/// address with one of them is the agent itself and is not used. `has_address` says whether the
/// agent's own settings contain a collector address.
pub(super) fn read(
    path: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
    own_ports: &[u16],
    has_address: bool,
) -> Insights {
    let mut found = Insights {
        tree: Value::Object(Map::new()),
        additions: [("/logs/redaction/patterns", Vec::new()), ("/logs/filters", Vec::new())],
        problems: Vec::new(),
    };
    let mut reader = Reader { path, lookup, own_ports, has_address, found: &mut found };
    if let Err(problem) = reader.read() {
        found.problems.push(problem);
    }
    found
}

struct Reader<'a> {
    path: &'a Path,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    own_ports: &'a [u16],
    has_address: bool,
    found: &'a mut Insights,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Problem> {
        let text = file::text(self.path).map_err(not_used)?;
        let Some(text) = text else {
            return Err(not_used(file::missing(self.path)));
        };
        let system: Value = file::strip(&text)
            .map_err(|(_, message)| message.to_owned())
            .and_then(|json| serde_json::from_str(&json).map_err(|error| error.to_string()))
            .map_err(|message| self.problem("", format!("this is not valid JSON: {message}")))?;
        let Some(name) = SECTIONS.into_iter().find(|name| system[name].is_object()) else {
            return Err(self.problem(
                "",
                "io.Insights is not configured: the file has neither a section `insights` nor `otel`".to_owned(),
            ));
        };
        let section = &system[name];
        if section["enabled"] != true {
            return Err(self.problem(name, "io.Insights is turned off: `enabled` is not `true`".to_owned()));
        }
        let attributes = self.texts(&section["additionalResourceAttributes"]);
        self.put("resource.attributes", &format!("{name}.additionalResourceAttributes"), attributes);
        if !self.has_address {
            self.put("collector.headers", &format!("{name}.headers"), self.texts(&section["headers"]));
            for signal in Signal::ALL {
                self.destination(signal, &section[signal.name()], &format!("{name}.{signal}"));
            }
        }
        for (index, filter) in section["logs"]["filters"].as_array().into_iter().flatten().enumerate() {
            self.filter(index, filter, &format!("{name}.logs.filters[{index}]"));
        }
        Ok(())
    }

    fn destination(&mut self, signal: Signal, section: &Value, place: &str) {
        if section["enabled"] == false {
            return;
        }
        self.put(&format!("collector.{signal}.headers"), &format!("{place}.headers"), self.texts(&section["headers"]));
        let Some(url) = self.text(&section["url"]) else { return };
        if self.is_own(&url) {
            let problem = self.problem(&format!("{place}.url"), format!("`{url}` is the address of this agent itself"));
            return self.found.problems.push(problem);
        }
        let place = format!("{place}.url");
        if !self.put(&format!("collector.{signal}.endpoint"), &place, url.as_str().into()) {
            return;
        }
        self.put(&format!("collector.{signal}.protocol"), &place, "http/json".into());
        if let Some(base) = url.strip_suffix(signal.http_path()) {
            // For signals without an address of their own.
            self.put("collector.endpoint", &place, base.into());
            self.put("collector.protocol", &place, "http/json".into());
        }
    }

    /// Converts a log filter. `hideRegex` becomes a redaction pattern for all records, whatever the
    /// other conditions are. A filter that turns records off becomes a log filter if its only
    /// conditions are category and text.
    fn filter(&mut self, index: usize, filter: &Value, place: &str) {
        if let Some(pattern) = filter["hideRegex"].as_str() {
            let rule = json!({ "name": format!("io-insights-{}", index + 1), "pattern": pattern });
            self.add(0, "logs.redaction.patterns", &format!("{place}.hideRegex"), rule);
        }
        // With `#` the category is a regular expression, which the agent does not support.
        let category = filter["categoryName"].as_str().filter(|name| !name.starts_with('#'));
        let is_simple = filter["severity"].is_null() && (category.is_some() || filter["categoryName"].is_null());
        let pattern = filter["bodyRegex"].as_str();
        if filter["enabled"] == false && is_simple && (category.is_some() || pattern.is_some()) {
            self.add(1, "logs.filters", place, json!({ "category": category, "pattern": pattern }));
        }
    }

    fn is_own(&self, url: &str) -> bool {
        let Ok(url) = url::Url::parse(url) else { return false };
        is_loopback(&url) && url.port_or_known_default().is_some_and(|port| self.own_ports.contains(&port))
    }

    fn text(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Template::from(text.as_str()).expand(self.lookup)).filter(|text| !text.is_empty())
    }

    fn texts(&self, map: &Value) -> Value {
        let texts = map.as_object().into_iter().flatten();
        texts.filter_map(|(name, value)| Some((name.clone(), self.text(value)?.into()))).collect::<Map<_, _>>().into()
    }

    /// Adds a value to the layer. Returns whether it is valid.
    fn put(&mut self, key: &str, place: &str, value: Value) -> bool {
        if value.as_object().is_some_and(Map::is_empty) {
            return false;
        }
        let tree = KeyPath::from_dotted(key).tree(value);
        let usable = self.is_usable(&tree, place);
        if usable {
            merge(&mut self.found.tree, tree);
        }
        usable
    }

    fn add(&mut self, list: usize, key: &str, place: &str, item: Value) {
        if self.is_usable(&KeyPath::from_dotted(key).tree(vec![item.clone()].into()), place) {
            self.found.additions[list].1.push(item);
        }
    }

    fn is_usable(&mut self, tree: &Value, place: &str) -> bool {
        let checked = check(tree).map_err(|finding| self.problem(place, finding.message));
        checked.map_err(|problem| self.found.problems.push(problem)).is_ok()
    }

    fn problem(&self, key: &str, message: String) -> Problem {
        not_used(ConfigError {
            kind: ErrorKind::Value,
            place: Place::File { path: self.path.to_owned(), position: None },
            key: Some(key.to_owned()).filter(|key| !key.is_empty()),
            message,
            help: None,
            excerpt: None,
        })
    }
}

fn not_used(error: ConfigError) -> Problem {
    Problem { error, effect: "this io.Insights setting is not used".to_owned() }
}

fn merge(base: &mut Value, layer: Value) {
    match (base, layer) {
        (Value::Object(base), Value::Object(layer)) => {
            for (key, value) in layer {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, layer) => *base = layer,
    }
}
