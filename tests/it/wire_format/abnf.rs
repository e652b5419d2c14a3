//! The part of ABNF (RFC 5234) that the page uses.

use std::collections::BTreeMap;

/// A grammar: rules by name.
pub(super) struct Grammar(BTreeMap<String, Vec<Vec<Element>>>);

/// An element that repeats from `least` to `most` times.
struct Element {
    least: usize,
    most: usize,
    what: What,
}

enum What {
    Rule(String),
    /// Characters from one to another.
    Range(u8, u8),
    Group(Vec<Vec<Element>>),
}

impl Grammar {
    pub(super) fn parse(text: &str) -> Self {
        let mut rules: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match line.split_once(" = ").filter(|_| !line.starts_with(' ')) {
                Some((name, definition)) => rules.push((name.trim().to_owned(), definition.to_owned())),
                None => rules.last_mut().unwrap().1 += line,
            }
        }
        Self(rules.into_iter().map(|(name, text)| (name, alternatives(&mut text.trim().chars().peekable()))).collect())
    }

    /// Returns whether the whole text is one of this rule.
    pub(super) fn matches(&self, rule: &str, text: &str) -> bool {
        self.ends(&self.0[rule], text.as_bytes(), 0).contains(&text.len())
    }

    fn ends(&self, of: &[Vec<Element>], text: &[u8], at: usize) -> Vec<usize> {
        let mut all = Vec::new();
        for sequence in of {
            let mut starts = vec![at];
            for element in sequence {
                let mut next = Vec::new();
                for start in starts {
                    self.repeat(element, text, start, 0, &mut next);
                }
                next.sort_unstable();
                next.dedup();
                starts = next;
            }
            all.extend(starts);
        }
        all
    }

    fn repeat(&self, element: &Element, text: &[u8], at: usize, count: usize, ends: &mut Vec<usize>) {
        if count >= element.least {
            ends.push(at);
        }
        if count == element.most {
            return;
        }
        let once = match &element.what {
            What::Rule(name) => self.ends(&self.0[name], text, at),
            What::Group(group) => self.ends(group, text, at),
            What::Range(from, to) => match text.get(at) {
                Some(byte) if (from..=to).contains(&byte) => vec![at + 1],
                _ => Vec::new(),
            },
        };
        once.into_iter().for_each(|end| self.repeat(element, text, end, count + 1, ends));
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn alternatives(text: &mut Chars<'_>) -> Vec<Vec<Element>> {
    let mut all = vec![Vec::new()];
    while let Some(&next) = text.peek() {
        match next {
            ' ' => drop(text.next()),
            '/' => {
                text.next();
                all.push(Vec::new());
            }
            ']' | ')' => break,
            _ => all.last_mut().unwrap().push(element(text)),
        }
    }
    all
}

fn element(text: &mut Chars<'_>) -> Element {
    let least = number(text, 10);
    let (least, most) = match text.next_if_eq(&'*') {
        Some(_) => (least.unwrap_or(0), number(text, 10).unwrap_or(usize::MAX)),
        None => (least.unwrap_or(1), least.unwrap_or(1)),
    };
    match text.next().unwrap() {
        '"' => {
            let byte = text.next().unwrap();
            // A letter in quotes stands for both cases.
            assert!(byte.is_ascii() && !byte.is_ascii_alphabetic() && text.next() == Some('"'));
            Element { least, most, what: What::Range(byte as u8, byte as u8) }
        }
        '%' => {
            assert_eq!(text.next(), Some('x'));
            let from = number(text, 16).unwrap();
            let to = text.next_if_eq(&'-').map_or(from, |_| number(text, 16).unwrap());
            Element { least, most, what: What::Range(from as u8, to as u8) }
        }
        '[' => {
            let what = What::Group(alternatives(text));
            assert_eq!(text.next(), Some(']'));
            Element { least: 0, most: 1, what }
        }
        first => {
            let mut name = first.to_string();
            while let Some(next) = text.next_if(char::is_ascii_alphanumeric) {
                name.push(next);
            }
            Element { least, most, what: What::Rule(name) }
        }
    }
}

fn number(text: &mut Chars<'_>, radix: u32) -> Option<usize> {
    let mut digits = String::new();
    while let Some(digit) = text.next_if(|next| next.is_digit(radix)) {
        digits.push(digit);
    }
    usize::from_str_radix(&digits, radix).ok()
}
