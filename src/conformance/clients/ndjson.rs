use super::object::read_object;
use super::{Inbox, Wire};

/// Reader of NDJSON.
#[derive(Debug, Default)]
pub struct NdjsonWire {
    line: Vec<u8>,
}

impl Wire for NdjsonWire {
    fn read(&mut self, bytes: &[u8], inbox: &mut Inbox) -> Result<(), String> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(piece);
            if let Some(line) = self.line.strip_suffix(b"\n") {
                if !line.is_empty() {
                    inbox.put(read_object(line)?);
                }
                self.line.clear();
            }
        }
        Ok(())
    }

    fn has_hello(&self) -> bool {
        true
    }

    fn end(&mut self) -> Result<(), String> {
        match self.line.as_slice() {
            [] => Ok(()),
            line => Err(format!("cut inside a line: {}", line.escape_ascii())),
        }
    }
}
