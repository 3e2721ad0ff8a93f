//! io.Insights pointed at this agent, in the text of io.Connect's `system.json`.
//!
//! io.Insights stands there under `insights`, or under `otel`, which all versions take (docs.interop.io, Insights >
//! Configuration; schema 10.2 of io.Connect). Comments and layout of the file stay, and so does what the company has decided:
//! an `enabled` that is there is not touched, but told if it is `false`.

use std::path::PathBuf;

use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use jsonc_parser::{ParseOptions, json};

/// The usual place of `system.json`, under `%LocalAppData%` (docs.interop.io, Desktop > Installation).
const USUAL: [&str; 5] = ["interop.io", "io.Connect Desktop", "Desktop", "config", "system.json"];
/// Keys of io.Insights, the newer first. Where none is there the last is made.
const KEYS: [&str; 2] = ["insights", "otel"];

/// Its sections, which are named as the paths of OTLP/HTTP are.
const SIGNALS: [&str; 3] = ["metrics", "traces", "logs"];

/// Why a text cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It cannot be read as JSON, not even as JSON with comments.
    #[error("it is no JSON: {0}")]
    Syntax(String),
    /// Something else stands where an object is expected.
    #[error("`{0}` is no object")]
    NoObject(String),
}

/// Where `system.json` is if io.Connect was installed to the usual place.
#[must_use]
pub fn usual_file() -> Option<PathBuf> {
    let file = directories::BaseDirs::new()?.data_local_dir().join(USUAL.iter().collect::<PathBuf>());
    file.exists().then_some(file)
}

/// A changed `system.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointed {
    /// The file's new text.
    pub text: String,
    /// What is switched off in it, and stays so: `otel.enabled`, for example.
    pub off: Vec<String>,
}

/// The text of `system.json` with io.Insights on and its addresses those of the receiver at `http` (`http://127.0.0.1:4318`),
/// which `token` lets in, if it wants one.
///
/// # Errors
/// See [`SetupError`].
pub fn pointed_at(text: &str, http: &str, token: Option<&str>) -> Result<Pointed, SetupError> {
    let root =
        CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| SetupError::Syntax(error.to_string()))?;
    let file = root.object_value().ok_or_else(|| SetupError::NoObject("the file".to_owned()))?;
    let key = KEYS.into_iter().find(|key| file.get(key).is_some()).unwrap_or(KEYS[1]);
    let insights = object(&file, key, key)?;
    let mut off = Vec::new();
    off.extend(switched_off(&insights, key));
    if let Some(token) = token {
        let headers = object(&insights, "headers", &format!("{key}.headers"))?;
        set(&headers, "authorization", json!(format!("Bearer {token}")));
    }
    for signal in SIGNALS {
        let section = object(&insights, signal, &format!("{key}.{signal}"))?;
        off.extend(switched_off(&section, &format!("{key}.{signal}")));
        set(&section, "url", json!(format!("{http}/v1/{signal}")));
    }
    Ok(Pointed { text: root.to_string(), off })
}

fn object(above: &CstObject, key: &str, place: &str) -> Result<CstObject, SetupError> {
    above.object_value_or_create(key).ok_or_else(|| SetupError::NoObject(place.to_owned()))
}

fn set(object: &CstObject, key: &str, value: CstInputValue) {
    match object.get(key) {
        Some(property) => property.set_value(value),
        None => {
            object.append(key, value);
        }
    }
}

/// Switches a section on, unless it is said whether it is; returns the place where it is off.
fn switched_off(section: &CstObject, place: &str) -> Option<String> {
    let Some(enabled) = section.get("enabled") else {
        section.append("enabled", json!(true));
        return None;
    };
    let is_on = enabled.value().and_then(|value| value.as_boolean_lit()).is_none_or(|value| value.value());
    (!is_on).then(|| format!("{place}.enabled"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
