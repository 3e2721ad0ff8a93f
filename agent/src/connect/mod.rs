//! What is known of io.Connect: its folders, processes and apps.

pub mod apps;
pub mod folders;
pub mod processes;
pub mod setup;

/// Whether `*` in `pattern`, as any number of characters, makes it `name`.
#[must_use]
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests;
