//! Configures io.Insights to send to this agent, by editing the text of io.Connect's `system.json`.
//!
//! The io.Insights settings are in the object `insights`, or in `otel`, which all versions accept
//! (docs.interop.io, Insights > Configuration; schema 10.2 of io.Connect). Comments and layout of
//! the file stay, and so do the company's decisions: an existing `enabled` is never changed, only
//! reported if it is `false`.

use std::path::PathBuf;

use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use jsonc_parser::{ParseOptions, json};

/// Default location of `system.json`, under `%LocalAppData%` (docs.interop.io, Desktop >
/// Installation).
const DEFAULT_SYSTEM_JSON: [&str; 5] = ["interop.io", "io.Connect Desktop", "Desktop", "config", "system.json"];
/// Keys of the io.Insights settings, the newer one first. If neither exists, the last one is
/// created.
const KEYS: [&str; 2] = ["insights", "otel"];

/// Sections of the io.Insights settings. Their names are also the paths of OTLP/HTTP.
const SIGNALS: [&str; 3] = ["metrics", "traces", "logs"];

/// Why a text cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It is not JSON, not even JSON with comments.
    #[error("it is not valid JSON: {0}")]
    Syntax(String),
    /// An object is expected, but there is another value.
    #[error("`{0}` is not a JSON object")]
    NotAnObject(String),
}

/// Returns the path of `system.json` if io.Connect is installed in the default location.
#[must_use]
pub fn default_system_json() -> Option<PathBuf> {
    let file = directories::BaseDirs::new()?.data_local_dir().join(DEFAULT_SYSTEM_JSON.iter().collect::<PathBuf>());
    file.exists().then_some(file)
}

/// A changed `system.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatedConfig {
    /// The new text of the file.
    pub text: String,
    /// Settings that are turned off in the file and stay so, for example `otel.enabled`.
    pub disabled: Vec<String>,
}

/// Returns the text of `system.json` with io.Insights enabled and sending to the receiver at `http`
/// (`http://127.0.0.1:4318`). If the receiver requires a token, `token` is added to the headers.
///
/// # Errors
/// See [`SetupError`].
pub fn with_insights_endpoint(text: &str, http: &str, token: Option<&str>) -> Result<UpdatedConfig, SetupError> {
    let root =
        CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| SetupError::Syntax(error.to_string()))?;
    let file = root.object_value().ok_or_else(|| SetupError::NotAnObject("the file".to_owned()))?;
    let key = KEYS.into_iter().find(|key| file.get(key).is_some()).unwrap_or(KEYS[1]);
    let insights = object(&file, key, key)?;
    let mut disabled = Vec::new();
    disabled.extend(enable_unless_set(&insights, key));
    if let Some(token) = token {
        let headers = object(&insights, "headers", &format!("{key}.headers"))?;
        set(&headers, "authorization", json!(format!("Bearer {token}")));
    }
    for signal in SIGNALS {
        let section = object(&insights, signal, &format!("{key}.{signal}"))?;
        disabled.extend(enable_unless_set(&section, &format!("{key}.{signal}")));
        set(&section, "url", json!(format!("{http}/v1/{signal}")));
    }
    Ok(UpdatedConfig { text: root.to_string(), disabled })
}

fn object(parent: &CstObject, key: &str, path: &str) -> Result<CstObject, SetupError> {
    parent.object_value_or_create(key).ok_or_else(|| SetupError::NotAnObject(path.to_owned()))
}

fn set(object: &CstObject, key: &str, value: CstInputValue) {
    match object.get(key) {
        Some(property) => property.set_value(value),
        None => {
            object.append(key, value);
        }
    }
}

/// Enables a section unless it already has an `enabled` setting. Returns the path of that setting
/// if it is `false`.
fn enable_unless_set(section: &CstObject, path: &str) -> Option<String> {
    let Some(enabled) = section.get("enabled") else {
        section.append("enabled", json!(true));
        return None;
    };
    let is_on = enabled.value().and_then(|value| value.as_boolean_lit()).is_none_or(|value| value.value());
    (!is_on).then(|| format!("{path}.enabled"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
