//! The headers of what a server sends: unmasked, unfragmented frames (RFC 6455 § 5.2).

use hyper_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

/// Two bytes, and eight more for the length of a long payload.
pub(crate) const MAX_HEADER: usize = 10;

/// Writes the header of a whole message or a control frame at the end of `room`, so that the payload may follow it in
/// the same buffer, and says where it begins.
pub(crate) fn write_header(opcode: OpCode, payload: usize, room: &mut [u8; MAX_HEADER]) -> usize {
    let length = (payload as u64).to_be_bytes();
    let (start, short) = match payload {
        0..=125 => (8, length[7]),
        126..=0xffff => (6, 126),
        _ => (0, 127),
    };
    room[start] = FINAL | u8::from(opcode);
    room[start + 1] = short;
    let extended = MAX_HEADER - start - 2;
    room[start + 2..].copy_from_slice(&length[length.len() - extended..]);
    start
}

/// A Close frame without a reason.
pub(crate) fn close_frame(code: u16) -> [u8; 4] {
    let [high, low] = code.to_be_bytes();
    [FINAL | u8::from(OpCode::Control(Control::Close)), 2, high, low]
}

const FINAL: u8 = 0x80;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use hyper_tungstenite::tungstenite::protocol::frame::FrameHeader;
    use hyper_tungstenite::tungstenite::protocol::frame::coding::Data;

    use super::*;

    #[test]
    fn headers_are_read_back_by_tungstenite() {
        let opcodes = [OpCode::Data(Data::Text), OpCode::Data(Data::Binary), OpCode::Control(Control::Pong)];
        for opcode in opcodes {
            for payload in [0, 1, 125, 126, 127, 255, 256, 0xffff, 0x1_0000, 0x1234_5678] {
                let mut room = [0; MAX_HEADER];
                let start = write_header(opcode, payload, &mut room);
                let mut cursor = Cursor::new(&room[start..]);
                let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
                assert_eq!(length, payload as u64);
                assert_eq!(header, FrameHeader { opcode, ..FrameHeader::default() });
                assert_eq!(cursor.position() as usize, MAX_HEADER - start, "all of it, and as short as may be");
                assert_eq!(header.len(length), MAX_HEADER - start);
            }
        }
    }

    #[test]
    fn a_close_frame_holds_its_code() {
        assert_eq!(close_frame(1000), [0x88, 2, 0x03, 0xe8]);
        assert_eq!(close_frame(1011), [0x88, 2, 0x03, 0xf3]);
    }
}
