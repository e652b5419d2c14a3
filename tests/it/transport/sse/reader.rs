use crate::support::SseReader;

/// The examples of the standard, and the rules of the Web Platform Tests for browsers.
#[test]
fn sse_reader_reads_the_examples_of_the_standard() {
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
