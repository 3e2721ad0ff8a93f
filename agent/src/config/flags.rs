//! `--set key=value` on the command line. Only policies take precedence over it.

use serde_json::Value;

use super::check::check;
use super::error::{ConfigError, ErrorKind, Place};
use super::key::KeyPath;
use super::layers::{Merged, Origin};

/// Merges flags into `merged`; later ones take precedence.
pub(super) fn apply(merged: &mut Merged, flags: &[String]) -> Result<(), ConfigError> {
    for flag in flags {
        merged.apply(&layer(flag)?, &|_| Origin::Flag);
    }
    Ok(())
}

/// Parses one flag. The value is read as JSON if that is valid for the setting, otherwise as text.
fn layer(flag: &str) -> Result<Value, ConfigError> {
    let Some((key, value)) = flag.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        // Quote only the key: the rest may be a secret.
        let end = flag.find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).unwrap_or(flag.len());
        return Err(ConfigError {
            kind: ErrorKind::Syntax,
            place: Place::Flag(flag[..end].to_owned()),
            key: None,
            message: "the flag is not of the form `key=value`".to_owned(),
            help: Some("write for example `--set collector.protocol=http/protobuf`".into()),
            excerpt: None,
        });
    };
    let path = KeyPath::from_dotted(key);
    let text = path.tree(value.into());
    let tree = serde_json::from_str(value).map_or_else(|_| text.clone(), |value| path.tree(value));
    match check(&tree) {
        Ok(_) => Ok(tree),
        Err(_) if check(&text).is_ok() => Ok(text),
        Err(finding) => Err(ConfigError {
            kind: finding.kind,
            place: Place::Flag(key.to_owned()),
            key: Some(finding.path.to_string()),
            message: finding.message,
            help: finding.help,
            excerpt: None,
        }),
    }
}
