//! Which scheduler a verb talks to, and with which token.

use std::path::Path;

use stint_api::client::Client;

use crate::args::Global;
use crate::failure::{hinted, hinted_because};

/// Most bytes of a token file; a token is a line.
const TOKEN_BYTES_MAX: usize = 4096;

/// The scheduler that the user named, if any.
pub(crate) fn configured(global: &Global) -> anyhow::Result<Option<Client>> {
    // An empty variable is the shell's way to say "none".
    match global.server.as_deref().filter(|server| !server.is_empty()) {
        Some(server) => Ok(Some(Client::new(server, token(global)?)?)),
        None => Ok(None),
    }
}

/// The scheduler that the user named, who must have named one.
pub(crate) fn required(global: &Global) -> anyhow::Result<Client> {
    configured(global)?.ok_or_else(|| {
        hinted(
            "no scheduler is named",
            "give --server URL, or set STINT_SERVER; for one on this machine: `stint dev`, \
             then `export STINT_SERVER=http://127.0.0.1:7070`",
        )
    })
}

/// The token that the user named, if any: the file first, then STINT_TOKEN.
pub(crate) fn token(global: &Global) -> anyhow::Result<Option<String>> {
    if let Some(path) = global
        .token_file
        .as_deref()
        .filter(|path| !path.as_os_str().is_empty())
    {
        return read_token(path).map(Some);
    }
    Ok(std::env::var("STINT_TOKEN")
        .ok()
        .filter(|token| !token.is_empty()))
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let hint = "a token file holds one line: the token";
    let text = std::fs::read_to_string(path).map_err(|error| {
        hinted_because(format!("cannot read the token file `{shown}`"), hint, error)
    })?;
    let token = text.trim();
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || token.contains(char::is_whitespace) {
        return Err(hinted(format!("`{shown}` does not hold a token"), hint));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(read_token(&path).is_err());
        for (text, token) in [
            ("abc\n", Some("abc")),
            ("", None),
            ("a b", None),
            ("a\nb", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_token(&path).ok().as_deref(), token, "{text:?}");
        }
    }

    #[test]
    fn an_empty_server_is_none() {
        let global = Global {
            server: Some(String::new()),
            ..Global::default()
        };
        assert!(configured(&global).unwrap().is_none());
        assert!(required(&global).is_err());
    }
}
