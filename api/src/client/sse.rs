//! Server-sent events, read as they come: bytes in, messages out, never more
//! held than one message may be long.

/// Most bytes of one line or one message; a log chunk is far below.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// What to send as `Last-Event-ID` to go on after this one.
    pub(super) id: Option<String>,
    /// Its `event` field; `message` when the server named none.
    pub(super) event: String,
    /// Its `data` lines, joined by newlines.
    pub(super) data: String,
}

/// A line or message passed [`MESSAGE_BYTES_MAX`], or is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// Cuts a byte stream into messages.
#[derive(Debug, Default)]
pub(super) struct Parser {
    buffer: Vec<u8>,
    /// Where in `buffer` the next line starts: consumed bytes leave in bulk.
    start: usize,
    message: Message,
    has_data: bool,
}

impl Parser {
    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message among the bytes taken so far.
    ///
    /// # Errors
    /// When the bytes are not such a stream; the parser is of no use after.
    pub(super) fn message(&mut self) -> Result<Option<Message>, Garbage> {
        loop {
            let rest = &self.buffer[self.start..];
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                return if rest.len() > MESSAGE_BYTES_MAX {
                    Err(Garbage)
                } else {
                    Ok(None)
                };
            };
            let line = std::str::from_utf8(&rest[..length]).map_err(|_| Garbage)?;
            let line = line.strip_suffix('\r').unwrap_or(line).to_owned();
            self.start += length + 1;
            if let Some(message) = self.line(&line)? {
                return Ok(Some(message));
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<Option<Message>, Garbage> {
        if line.is_empty() {
            let mut message = std::mem::take(&mut self.message);
            // The id stays for the messages after it; so says the standard.
            self.message.id.clone_from(&message.id);
            if !std::mem::take(&mut self.has_data) {
                return Ok(None);
            }
            if message.event.is_empty() {
                "message".clone_into(&mut message.event);
            }
            return Ok(Some(message));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.message.data.len() + value.len() > MESSAGE_BYTES_MAX {
                    return Err(Garbage);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.message.event),
            "id" if !value.contains('\0') => self.message.id = Some(value.to_owned()),
            // `retry` is ours to decide; the rest are comments, sent to keep the line open.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(parser: &mut Parser) -> Vec<Message> {
        std::iter::from_fn(|| parser.message().unwrap()).collect()
    }

    #[test]
    fn a_message_is_found_however_the_bytes_are_cut() {
        let text = ": hello\r\n\r\nid: 7\nevent: log\ndata: {\"a\":\ndata: \u{e9}}\n\ndata:x\n\n";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut messages = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                parser.push(piece);
                messages.extend(all(&mut parser));
            }
            assert_eq!(messages.len(), 2, "cut every {size} bytes");
            assert_eq!(messages[0].id.as_deref(), Some("7"));
            assert_eq!(messages[0].event, "log");
            assert_eq!(messages[0].data, "{\"a\":\n\u{e9}}");
            assert_eq!(messages[1].id.as_deref(), Some("7"));
            assert_eq!(messages[1].event, "message");
            assert_eq!(messages[1].data, "x");
        }
    }

    #[test]
    fn comments_and_unfinished_messages_are_not_messages() {
        let mut parser = Parser::default();
        parser.push(b": ping\n\nid: 3\n\nretry: 5\ndata: half");
        assert_eq!(all(&mut parser), []);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        parser.push(&vec![b'x'; MESSAGE_BYTES_MAX + 1]);
        assert_eq!(parser.message(), Err(Garbage));
        let mut parser = Parser::default();
        parser.push(b"data: \xff\n\n");
        assert_eq!(parser.message(), Err(Garbage));
    }
}
