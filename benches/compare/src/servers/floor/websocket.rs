//! The part of WebSocket that a server needs to read (RFC 6455).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

/// Returns the response to the handshake (§4.2.2).
pub(super) fn accept(key: &[u8], out: &mut Vec<u8>) {
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    let accept = STANDARD.encode(digest);
    for part in [
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ",
        &accept,
        "\r\n\r\n",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Reads one frame of a client. Returns its size, 0 if it is not complete, `None` if it was the last. Pings and a Close
/// are
/// answered, all other frames are skipped.
pub(super) fn read(input: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let [first, second, rest @ ..] = input else { return Some(0) };
    let (length, rest) = match second & 0x7f {
        126 => match rest {
            [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]).into(), rest),
            _ => return Some(0),
        },
        // Longer than any frame that this server expects.
        127 => return None,
        length => (usize::from(length), rest),
    };
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Some(0) };
    let Some(payload) = rest.get(..length) else { return Some(0) };
    let opcode = first & 0xf;
    if opcode == PING || opcode == CLOSE {
        // Control frames are short (§5.5): the length is one byte.
        let answer = if opcode == PING { 0x8a } else { 0x88 };
        out.extend([answer, length.min(125) as u8]);
        out.extend(payload.iter().take(125).zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }
    (opcode != CLOSE).then_some(input.len() - rest.len() + length)
}
