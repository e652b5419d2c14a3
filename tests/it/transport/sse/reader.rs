/// A reader of event streams, written from the WHATWG HTML standard §9.2.6 and nothing else.
#[derive(Default)]
pub(crate) struct SseReader {
    /// Bytes of a line that is not ended, of a beginning that may be a BOM.
    line: Vec<u8>,
    begun: bool,
    after_cr: bool,
    name: String,
    data: String,
    id: String,
    /// Fields since the last empty line.
    fields: usize,
    pub(crate) last_event_id: String,
    pub(crate) retries: Vec<u64>,
    pub(crate) events: Vec<SseEvent>,
}

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

    /// Whether a cut here would be within a block or a line.
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

/// The standard's own examples, and the rules that Web Platform Tests hold browsers to.
#[test]
fn it_reads_as_the_standard_says() {
    type Read = (&'static str, &'static str, &'static str);
    let cases: [(&str, &[Read]); 12] = [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", &[("message", "YHOO\n+2\n10", "")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            &[("message", "first event", "1"), ("message", "second event", ""), ("message", " third event", "")],
        ),
        ("data\n\ndata\ndata\n\ndata:", &[("message", "", ""), ("message", "\n", "")]),
        ("data:test\n\ndata: test\n\n", &[("message", "test", ""), ("message", "test", "")]),
        ("\u{feff}data: 1\n\n\u{feff}data: 2\n\ndata: 3\n\n", &[("message", "1", ""), ("message", "3", "")]),
        ("data:1\r\rdata:2\r\n\r\ndata:3\n\n", &[("message", "1", ""), ("message", "2", ""), ("message", "3", "")]),
        (
            "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\ndata: c\n\n",
            &[("message", "a", "1"), ("message", "b", "1"), ("message", "c", "1")],
        ),
        ("event: e\n\ndata: a\n\nevent: e\ndata: b\n\n", &[("message", "a", ""), ("e", "b", "")]),
        ("id: 7\n\ndata: a\n\n", &[("message", "a", "7")]),
        ("retry: 03000\nretry: 1000x\nretry: -1\nretry:\ndata: a\n\n", &[("message", "a", "")]),
        (
            "Data: x\n data: x\ndata : x\nunknown: x\ndata: a\u{2028}b\u{85}c\u{b}\n\n",
            &[("message", "a\u{2028}b\u{85}c\u{b}", "")],
        ),
        ("data: cut\nid: 9\n", &[]),
    ];
    for (wire, expected) in cases {
        for size in 1..=wire.len() {
            let mut reader = SseReader::default();
            wire.as_bytes().chunks(size).for_each(|chunk| reader.read(chunk));
            let got: Vec<_> = reader.events.iter().map(|e| (&*e.name, &*e.data, &*e.id)).collect();
            assert_eq!(got, expected, "{wire:?} in pieces of {size}");
            assert_eq!(reader.retries, if wire.contains("retry") { vec![3000] } else { vec![] });
        }
    }
}
