//! Where the registry is, who we are, and the bounds of a request. Secrets are in [`SecretString`] from the start.

use crate::error::ConfigError;
use crate::retry::RetryPolicy;
use crate::subject::SubjectNaming;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::time::Duration;

/// A registry answers in milliseconds; one that takes longer than this is asked again.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const NO_CONTROL: &str = "must not contain a line break or another control character";

/// How we say who we are.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    #[default]
    None,
    Basic {
        user: String,
        password: SecretString,
    },
    Bearer {
        token: SecretString,
    },
}

/// One registry.
#[derive(Debug, Clone)]
pub struct Config {
    /// The root of Confluent's API, which may lie under a path (`/apis/ccompat/v7`). Never holds user or password.
    url: Url,
    pub auth: Auth,
    /// Whether schemas may be registered. If not they are only looked up: somebody else registers them, a CI job say.
    pub register: bool,
    pub subject_naming: SubjectNaming,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Of one attempt.
    pub timeout: Duration,
    pub retry: RetryPolicy,
}

impl Config {
    /// User and password in the address are moved into `auth`.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        // The address is not repeated in errors: it may hold a password.
        let mut url = Url::parse(url).map_err(|error| ConfigError::Url(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ConfigError::Url("it must begin with http:// or https://".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::Url("it must end with the path, without ? and #".to_owned()));
        }
        let auth = match (url.username(), url.password()) {
            ("", None) => Auth::None,
            (user, password) => {
                Auth::Basic { user: decoded(user), password: decoded(password.unwrap_or_default()).into() }
            }
        };
        // Only an address without a host cannot take a user, and http has one.
        if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
            return Err(ConfigError::Url("it names no host".to_owned()));
        }
        Ok(Self {
            url,
            auth,
            register: true,
            subject_naming: SubjectNaming::default(),
            ca: None,
            timeout: DEFAULT_TIMEOUT,
            retry: RetryPolicy::default(),
        })
    }

    /// The address, free of credentials.
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.timeout < Duration::from_millis(100) {
            return Err(ConfigError::Field { field: "timeout", why: "must be at least 100 ms" });
        }
        if self.retry.first.is_zero() || self.retry.longest < self.retry.first {
            return Err(ConfigError::Field {
                field: "retry",
                why: "the first wait must be above 0, the longest no less",
            });
        }
        self.validate_auth()
    }

    /// What a request could not carry is told before the first one, without repeating it.
    fn validate_auth(&self) -> Result<(), ConfigError> {
        let wrong = |field, why| Err(ConfigError::Field { field, why });
        let has_control = |text: &str| text.chars().any(char::is_control);
        match &self.auth {
            Auth::Basic { user, .. } if user.contains(':') => wrong("username", "must not contain a colon"),
            Auth::Basic { user, .. } if has_control(user) => wrong("username", NO_CONTROL),
            Auth::Basic { password, .. } if has_control(password.expose_secret()) => wrong("password", NO_CONTROL),
            Auth::Bearer { token } if HeaderValue::from_str(token.expose_secret()).is_err() => {
                wrong("token", NO_CONTROL)
            }
            _ => Ok(()),
        }
    }
}

/// Takes percent-encoding off; what is not UTF-8 afterwards is replaced.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push(hex(*high).unwrap_or_default() << 4 | hex(*low).unwrap_or_default());
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Auth, Config};
    use secrecy::ExposeSecret as _;

    #[test]
    fn credentials_leave_the_address_and_are_never_shown() {
        let config = Config::new("https://me:p%40ss%2Fword@registry:8081/apis/ccompat/v7").unwrap();
        assert_eq!(config.url().as_str(), "https://registry:8081/apis/ccompat/v7");
        let Auth::Basic { user, password } = &config.auth else { panic!("no basic auth") };
        assert_eq!((user.as_str(), password.expose_secret()), ("me", "p@ss/word"));
        assert!(!format!("{config:?}").contains("word\""), "{config:?}");
        assert!(!format!("{config:?}").contains("p@ss"), "{config:?}");
        config.validate().unwrap();
    }

    #[test]
    fn a_login_that_no_request_can_carry_is_refused_without_repeating_it() {
        let basic = |user: &str, password: &str| Auth::Basic { user: user.to_owned(), password: password.into() };
        for (auth, option) in [
            (basic("me\n", "hunter2"), Some("registry.username")),
            (basic("me:hunter2", "x"), Some("registry.username")),
            (basic("me", "hunter2\r"), Some("registry.password")),
            (Auth::Bearer { token: "hunter2\n".into() }, Some("registry.token")),
            (Auth::Bearer { token: "\u{7f}hunter2".into() }, Some("registry.token")),
            (Auth::Bearer { token: "hünter2 ~/+=".into() }, None),
            (basic("mé", "hünter2 :"), None),
        ] {
            let mut config = Config::new("http://x").unwrap();
            config.auth = auth;
            let error = config.validate().err().map(|error| error.to_string());
            assert_eq!(error.as_ref().and_then(|text| text.split(": ").next()), option);
            assert!(!error.unwrap_or_default().contains("hunter2"));
        }
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_it() {
        for url in [
            "registry:8081",
            "ftp://me:hunter2@x",
            "http://me:hunter2@",
            "http://me:hunter2@x:port",
            "http://x/?a=hunter2",
        ] {
            let error = Config::new(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
