use bytes::BytesMut;
use proptest::prelude::*;
use tidings::{Cursor, Position};

proptest! {
    #[test]
    fn what_is_written_reads_back(epoch: u64, sequence: u64, tag: Option<u64>) {
        let cursor = Cursor::new(Position::new(epoch, sequence));
        let cursor = tag.into_iter().fold(cursor, Cursor::with_tag);
        let mut wire = BytesMut::new();
        cursor.encode(&mut wire);
        prop_assert!(wire.len() <= Cursor::MAX_LEN);
        prop_assert!(wire.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.')));
        prop_assert_eq!(Cursor::parse(&wire), Ok(cursor));
        prop_assert_eq!(cursor.to_string().into_bytes(), wire);
    }
}

#[test]
fn the_longest_fits() {
    let longest = Cursor::new(Position::new(u64::MAX, u64::MAX)).with_tag(u64::MAX);
    assert_eq!(longest.to_string(), "3w5e11264sgsf.18446744073709551615.3w5e11264sgsf");
    assert_eq!(Cursor::new(Position::new(0, 0)).to_string(), "0.0");
}
