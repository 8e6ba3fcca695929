//! Values that must not be seen: texts that remember whether they may be shown, `${…}` expansion, and URLs without
//! their password.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// What stands for a value that is not shown.
pub(super) const HIDDEN: &str = "[hidden]";

/// A configured text. `Debug` shows it only when nothing in it can be secret.
#[derive(Clone)]
pub(super) struct Text {
    value: SecretString,
    hidden: bool,
}

impl Text {
    pub(super) fn new(value: impl Into<SecretString>, hidden: bool) -> Self {
        Self { value: value.into(), hidden }
    }

    pub(super) fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    pub(super) fn secret(&self) -> SecretString {
        self.value.clone()
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// The text as a person may see it.
    pub(super) fn shown(&self) -> String {
        if self.hidden { HIDDEN.into() } else { redact(self.expose()) }
    }

    /// The text in backticks for a message, or words that stand for it.
    pub(super) fn quoted(&self) -> String {
        if self.hidden { "this value".into() } else { format!("`{}`", redact(self.expose())) }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown())
    }
}

/// Replaces what may be a password in a URL: everything between the first `:` after `//` and the last `@` before the
/// path, and `password=` in the query. Text that is no URL comes back as it is.
pub fn redact(text: &str) -> String {
    let mut shown = text.to_owned();
    if let Some(start) = shown.find("://").map(|at| at + 3)
        && let Some(at) = shown[start..].rfind('@').map(|at| start + at)
        && let Some(colon) = shown[start..at].find(':').map(|at| start + at)
    {
        shown.replace_range(colon + 1..at, "***");
    }
    let lower = shown.to_ascii_lowercase();
    if let Some(start) = lower.find("password=").map(|at| at + "password=".len()) {
        let end = shown[start..].find(['&', '"', '\'', ' ']).map_or(shown.len(), |at| start + at);
        shown.replace_range(start..end, "***");
    }
    shown
}

/// Why a `${…}` could not be replaced.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExpansionError {
    #[error("environment variable `{0}` is not set")]
    MissingVariable(String),
    #[error("cannot read the file `{path}`: {reason}")]
    File { path: String, reason: std::io::Error },
    #[error("the file `{0}` is larger than 64 KiB")]
    FileTooLarge(String),
    #[error("`${{` is not closed by `}}`")]
    Unclosed,
    #[error("`${{…}}` must begin with `env:` or `file:`")]
    UnknownKind,
}

impl ExpansionError {
    /// The next step.
    pub(super) fn help(&self) -> String {
        match self {
            Self::MissingVariable(name) => format!("set it before the start: export {name}=…"),
            Self::File { path, .. } => format!("look at it as the user that runs headwater: ls -l {path}"),
            Self::FileTooLarge(_) => "name a file that holds this one value and nothing else".into(),
            Self::Unclosed | Self::UnknownKind => {
                "write ${env:NAME} or ${file:/path}; for a plain `${` write `$${`".into()
            }
        }
    }
}

const LARGEST_FILE: usize = 64 << 10;

/// Replaces every `${env:NAME}` and `${file:/path}`; the second result tells whether there was one. What comes in is
/// not expanded again.
pub(super) fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<(String, bool), ExpansionError> {
    let mut out = String::with_capacity(text.len());
    let mut expanded = false;
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').ok_or(ExpansionError::Unclosed)?;
        out.push_str(&resolve(&inside[..end], variable)?);
        expanded = true;
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok((out, expanded))
}

fn resolve(reference: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpansionError> {
    match reference.split_once(':') {
        Some(("env", name)) => variable(name).ok_or_else(|| ExpansionError::MissingVariable(name.into())),
        Some(("file", path)) => {
            let read = std::fs::read_to_string(path);
            let mut text = read.map_err(|reason| ExpansionError::File { path: path.into(), reason })?;
            if text.len() > LARGEST_FILE {
                return Err(ExpansionError::FileTooLarge(path.into()));
            }
            let kept = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).map(str::len);
            if let Some(kept) = kept {
                text.truncate(kept);
            }
            Ok(text)
        }
        _ => Err(ExpansionError::UnknownKind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        (name == "PASSWORD").then(|| "s3cret${env:PASSWORD}".to_owned())
    }

    #[test]
    fn expansion_replaces_once_and_tells() {
        assert_eq!(expand("plain $ text", &variable).unwrap(), ("plain $ text".into(), false));
        assert_eq!(expand("a-${env:PASSWORD}-b", &variable).unwrap(), ("a-s3cret${env:PASSWORD}-b".into(), true));
        assert_eq!(expand("$${env:PASSWORD}", &variable).unwrap(), ("${env:PASSWORD}".into(), false));
        assert_eq!(expand("ü${env:PASSWORD", &variable).unwrap_err().to_string(), "`${` is not closed by `}`");
        assert_eq!(expand("${env:NOPE}", &variable).unwrap_err().to_string(), "environment variable `NOPE` is not set");
        assert_eq!(expand("${NOPE}", &variable).unwrap_err().to_string(), "`${…}` must begin with `env:` or `file:`");
    }

    #[test]
    fn a_file_loses_only_its_last_line_break() {
        let path = std::env::temp_dir().join(format!("headwater-secret-{}", std::process::id()));
        std::fs::write(&path, "two\nlines\r\n").unwrap();
        let text = format!("${{file:{}}}", path.display());
        let result = expand(&text, &variable);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(result.unwrap(), ("two\nlines".into(), true));
        assert!(matches!(expand(&text, &variable), Err(ExpansionError::File { .. })));
    }

    #[test]
    fn a_url_loses_its_password() {
        assert_eq!(redact("postgres://u:p@ss:w@host/db"), "postgres://u:***@host/db");
        assert_eq!(redact("postgres://u@host:5432/db?password=x&a=b"), "postgres://u@host:5432/db?password=***&a=b");
        assert_eq!(redact("http://host:8081"), "http://host:8081");
        assert_eq!(redact("public.*"), "public.*");
    }

    #[test]
    fn hidden_text_is_not_shown() {
        let text = Text::new("hunter2", true);
        assert_eq!(format!("{text:?} {} {}", text.shown(), text.quoted()), "[hidden] [hidden] this value");
        assert_eq!(text.expose(), "hunter2");
    }
}
