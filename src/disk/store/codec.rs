//! Values of the rows: a CRC-32 over key and value, a version, the fields.

/// Version of all values. A store with another one is refused when it is opened.
const VERSION: u8 = 2;

/// Value that is being written.
pub(super) struct ValueWriter {
    bytes: Vec<u8>,
}

impl ValueWriter {
    pub(super) fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(&[0, 0, 0, 0, VERSION]);
        Self { bytes }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Writes a number in 7-bit groups, the lowest first.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Writes bytes with their count before them.
    pub(super) fn slice(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a text with its length before it.
    pub(super) fn label(&mut self, label: &str) {
        self.slice(label.as_bytes());
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the checksum and returns the value.
    pub(super) fn seal(mut self, key: &[u8]) -> Vec<u8> {
        let crc = crc(key, &self.bytes[4..]);
        self.bytes[..4].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

/// Rest of a value that is being read.
pub(super) struct ValueReader<'a> {
    rest: &'a [u8],
}

impl<'a> ValueReader<'a> {
    /// Checks the checksum and the version. Returns the reason if one is wrong.
    pub(super) fn open(key: &[u8], value: &'a [u8]) -> Result<Self, &'static str> {
        let (sum, rest) = value.split_first_chunk().ok_or("value is too short")?;
        if u32::from_le_bytes(*sum) != crc(key, rest) {
            return Err("checksum of a value is wrong");
        }
        match rest.split_first() {
            Some((&VERSION, rest)) => Ok(Self { rest }),
            _ => Err("value was written by another version"),
        }
    }

    /// Returns a reader of no bytes.
    pub(super) fn empty() -> Self {
        Self { rest: &[] }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn slice(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(super) fn label(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.slice()?).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

pub(super) fn crc(key: &[u8], value: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(value);
    crc.finalize()
}
