use bytes::{BufMut, Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::CloseCode;
use super::close::cut;
use super::violation::Violation;

/// Maximum length of the header of a client's frame: two bytes, an eight-byte length and the mask (RFC 6455 §5.2).
pub(super) const MAX_HEADER: usize = 14;

/// Maximum length of the payload of a control frame (RFC 6455 §5.5).
const MAX_CONTROL: u64 = 125;

/// Valid header of a client's frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) last: bool,
    pub(super) length: u64,
    pub(super) mask: [u8; 4],
}

/// Type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data(Data),
    Control(Control),
}

/// Parses the header at the beginning of `bytes`. Returns it with its own length, or `None` if it is not complete.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
    let mut cursor = std::io::Cursor::new(bytes);
    // For bytes in memory, the only error of tungstenite is a reserved opcode.
    let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::protocol("reserved opcode"))?;
    let Some((header, length)) = parsed else { return Ok(None) };
    let size = header.len(length);
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(Violation::protocol("reserved bit set"));
    }
    let Some(mask) = header.mask else {
        return Err(Violation::protocol("frame not masked"));
    };
    if cursor.position() != size as u64 || length > i64::MAX as u64 {
        return Err(Violation::protocol("length not minimal"));
    }
    let kind = match header.opcode {
        OpCode::Data(data) => Kind::Data(data),
        OpCode::Control(_) if !header.is_final => return Err(Violation::protocol("control frame fragmented")),
        OpCode::Control(_) if length > MAX_CONTROL => return Err(Violation::protocol("control frame too long")),
        OpCode::Control(control) => Kind::Control(control),
    };
    Ok(Some((Header { kind, last: header.is_final, length, mask }, size)))
}

/// Appends the frame of a server, which is neither masked nor fragmented (RFC 6455 §5.2).
pub(super) fn put(kind: Kind, payload: &[u8], out: &mut BytesMut) {
    /// The FIN bit, without reserved bits.
    const WHOLE: u8 = 0x80;
    let opcode = match kind {
        Kind::Data(data) => OpCode::Data(data),
        Kind::Control(control) => OpCode::Control(control),
    };
    // The exact length: `freeze` allocates if there is spare capacity.
    let header = match payload.len() {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    };
    out.reserve(header + payload.len());
    out.put_u8(WHOLE | u8::from(opcode));
    match payload.len() {
        short @ 0..=125 => out.put_u8(short as u8),
        medium @ 126..=0xFFFF => {
            out.put_u8(126);
            out.put_u16(medium as u16);
        }
        long => {
            out.put_u8(127);
            out.put_u64(long as u64);
        }
    }
    out.extend_from_slice(payload);
}

/// Returns the number of frames of a server in `bytes`, which consist of whole frames.
pub(super) fn count(mut bytes: &[u8]) -> u32 {
    let mut frames = 0;
    while let [_, length, rest @ ..] = bytes {
        let (length, rest) = match (*length, rest) {
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize, rest)
            }
            (short, rest) => (usize::from(short), rest),
        };
        bytes = rest.get(length..).unwrap_or_default();
        frames += 1;
    }
    frames
}

/// Returns the frame of a server.
pub(super) fn frame(kind: Kind, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    put(kind, payload, &mut frame);
    frame.freeze()
}

/// Appends a Close frame. The reason is cut to 123 bytes, and is absent without a code (RFC 6455 §5.5.1).
pub(super) fn put_close(code: Option<CloseCode>, reason: &str, out: &mut BytesMut) {
    let mut body = Vec::new();
    if let Some(code) = code {
        body.extend_from_slice(&code.as_u16().to_be_bytes());
        body.extend_from_slice(cut(reason).as_bytes());
    }
    put(Kind::Control(Control::Close), &body, out);
}
