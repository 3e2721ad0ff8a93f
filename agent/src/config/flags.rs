//! `--set key=value`: the highest layer.

use serde_json::Value;

use super::check::check;
use super::error::{ConfigError, ErrorKind, Place};
use super::key::KeyPath;
use super::layers::{Merged, Origin};

/// Lays flags over `merged`, later ones above earlier ones.
pub(super) fn put(merged: &mut Merged, flags: &[String]) -> Result<(), ConfigError> {
    for flag in flags {
        merged.put(&layer(flag)?, &|_| Origin::Flag);
    }
    Ok(())
}

/// A value that is JSON is taken as such if that fits, else as text.
fn layer(flag: &str) -> Result<Value, ConfigError> {
    let Some((key, value)) = flag.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        // no more of it than a key: the rest may be a secret
        let end = flag.find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).unwrap_or(flag.len());
        return Err(ConfigError {
            kind: ErrorKind::Syntax,
            place: Place::Flag(flag[..end].to_owned()),
            key: None,
            message: "a flag has the form `key=value`".to_owned(),
            help: Some("for example `--set collector.protocol=http/protobuf`".into()),
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
