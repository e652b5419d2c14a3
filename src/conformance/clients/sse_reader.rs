/// A reader of event streams, written from the WHATWG HTML standard §9.2.6 and nothing else.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "tests read all fields")]
pub(crate) struct SseReader {
    /// Bytes of a line that has not ended, or of a start that may be a byte order mark.
    line: Vec<u8>,
    begun: bool,
    after_cr: bool,
    name: String,
    data: String,
    id: String,
    /// Number of fields since the last empty line.
    fields: usize,
    pub(crate) last_event_id: String,
    pub(crate) retries: Vec<u64>,
    pub(crate) events: Vec<SseEvent>,
}

/// An event as an `EventSource` gives it to the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SseEvent {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) id: String,
}

impl SseReader {
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.end_line(&line);
                }
                _ => self.line.push(byte),
            }
        }
    }

    /// Returns whether the bytes so far end inside a block or a line.
    pub(crate) fn is_mid_block(&self) -> bool {
        self.fields > 0 || !self.line.is_empty()
    }

    fn end_line(&mut self, line: &[u8]) {
        let first = !std::mem::replace(&mut self.begun, true);
        let line = String::from_utf8_lossy(line);
        let line = line.strip_prefix('\u{feff}').filter(|_| first).unwrap_or(&line);
        let (field, value) = match line.split_once(':') {
            None if line.is_empty() => return self.dispatch(),
            None => (line, ""),
            Some(("", _comment)) => return,
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
        };
        self.fields += 1;
        match field {
            "event" => self.name = value.to_owned(),
            "data" => self.data.extend([value, "\n"]),
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => self.retries.extend(value.parse::<u64>()),
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.fields = 0;
        self.last_event_id.clone_from(&self.id);
        let (mut name, mut data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        if data.is_empty() {
            return;
        }
        data.pop();
        if name.is_empty() {
            "message".clone_into(&mut name);
        }
        self.events.push(SseEvent { name, data, id: self.last_event_id.clone() });
    }
}
