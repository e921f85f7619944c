use std::io::Cursor;

use hyper_tungstenite::tungstenite::protocol::frame::Frame;
use hyper_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use hyper_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocket};
use hyper_tungstenite::tungstenite::{Error, Message};
use proptest::prelude::*;

use super::*;

const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Decoded event, with adjacent data merged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Data(Vec<u8>),
    /// Ping, with its pong frame.
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
}

fn data(bytes: impl AsRef<[u8]>) -> Seen {
    Seen::Data(bytes.as_ref().to_vec())
}

fn ping(payload: &[u8]) -> Seen {
    Seen::Ping([&[0x8a, u8::try_from(payload.len()).unwrap()], payload].concat())
}

/// Encodes a masked frame with the shortest form of its length.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => vec![FINAL | length],
        (_, Ok(length)) => [&[FINAL | 126], length.to_be_bytes().as_slice()].concat(),
        _ => [&[FINAL | 127], (payload.len() as u64).to_be_bytes().as_slice()].concat(),
    };
    let masked = payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key);
    [&[first], length.as_slice(), &KEY].concat().into_iter().chain(masked).collect()
}

/// Decodes the inputs in order, up to a close frame or an error, as the reader does.
fn feed<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<CloseCode>) {
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    for input in inputs {
        let mut input = input.to_vec();
        let mut input = input.as_mut_slice();
        loop {
            match decoder.next(&mut input) {
                Err(code) => return (seen, Some(code)),
                Ok(None) => break,
                Ok(Some(Event::Data(bytes))) => {
                    assert!(!bytes.is_empty());
                    match seen.last_mut() {
                        Some(Seen::Data(last)) => last.extend_from_slice(bytes),
                        _ => seen.push(data(bytes)),
                    }
                }
                Ok(Some(Event::Ping(payload))) => seen.push(Seen::Ping(payload.pong())),
                Ok(Some(Event::Pong)) => seen.push(Seen::Pong),
                Ok(Some(Event::Close(code))) => {
                    seen.push(Seen::Close(code));
                    return (seen, None);
                }
            }
        }
        assert!(input.is_empty(), "input was not consumed");
    }
    (seen, None)
}

fn decode(frames: &[Vec<u8>]) -> Vec<Seen> {
    let (seen, error) = feed([frames.concat().as_slice()]);
    assert_eq!(error, None, "{frames:x?}");
    seen
}

fn error_of(frames: &[Vec<u8>]) -> Option<CloseCode> {
    feed([frames.concat().as_slice()]).1
}

/// Returns valid frames of every kind: all forms of length, and text split within characters.
fn all_kinds() -> Vec<u8> {
    let text = "aé€😀z".as_bytes();
    let mut frames = vec![
        frame(FINAL | TEXT, "hello"),
        frame(FINAL | TEXT, ""),
        frame(FINAL | BINARY, [0xff; 126]),
        frame(FINAL | PING, "are you there?"),
        frame(FINAL | BINARY, [7; 300]),
        frame(FINAL | PONG, ""),
        frame(BINARY, ""),
        frame(FINAL | CONTINUATION, [0x80]),
    ];
    for (index, byte) in text.iter().enumerate() {
        frames.push(frame(if index == 0 { TEXT } else { CONTINUATION }, [*byte]));
        frames.push(frame(FINAL | PING, [*byte; 125]));
    }
    frames.push(frame(FINAL | CONTINUATION, ""));
    frames.push(frame(FINAL | CLOSE, b"\x03\xe8bye \xe2\x82\xac"));
    frames.concat()
}

#[test]
fn messages_and_control_frames_are_decoded_in_order() {
    let frames = [
        frame(FINAL | TEXT, "Hello"),
        frame(FINAL | PING, "p"),
        frame(FINAL | BINARY, [0, 159, 146, 150]),
        frame(FINAL | PONG, "q"),
        frame(FINAL | CLOSE, ""),
    ];
    let expected = [data("Hello"), ping(b"p"), data([0, 159, 146, 150]), Seen::Pong, Seen::Close(None)];
    assert_eq!(decode(&frames), expected);
}

#[test]
fn control_frames_between_fragments_are_decoded() {
    let frames = [
        frame(TEXT, "Hel"),
        frame(FINAL | PING, "x"),
        frame(CONTINUATION, "l"),
        frame(FINAL | PONG, ""),
        frame(FINAL | CONTINUATION, "o"),
        frame(FINAL | BINARY, "next"),
    ];
    assert_eq!(decode(&frames), [data("Hel"), ping(b"x"), data("l"), Seen::Pong, data("onext")]);
    let frames = [frame(BINARY, "a"), frame(FINAL | CLOSE, [3, 232])];
    assert_eq!(decode(&frames), [data("a"), Seen::Close(Some(1000))]);
}

#[test]
fn payload_is_returned_before_its_frame_is_complete() {
    let mut decoder = Decoder::default();
    let bytes = frame(TEXT, "0123456789");
    for (range, expected) in [(0..2, ""), (2..9, "012"), (9..10, "3"), (10..16, "456789")] {
        let mut part = bytes[range].to_vec();
        let mut input = part.as_mut_slice();
        if !expected.is_empty() {
            assert_eq!(decoder.next(&mut input), Ok(Some(Event::Data(expected.as_bytes()))));
        }
        assert_eq!(decoder.next(&mut input), Ok(None));
    }
}

#[test]
fn payload_of_the_longest_frame_is_returned_as_it_arrives() {
    let mut decoder = Decoder::default();
    let mut start = [&[FINAL | BINARY, FINAL | 127], MAX_PAYLOAD_BYTES.to_be_bytes().as_slice(), &[0; 4]].concat();
    assert_eq!(decoder.next(&mut start.as_mut_slice()), Ok(None));
    for _ in 0..1000 {
        let mut more = [9; 4096];
        let mut input = more.as_mut_slice();
        assert_eq!(decoder.next(&mut input), Ok(Some(Event::Data(&[9; 4096]))));
        assert!(input.is_empty());
    }
    assert_eq!(decoder.partial.len(), 0);
}

#[test]
fn decoded_events_are_independent_of_input_boundaries() {
    let bytes = all_kinds();
    let whole = feed([bytes.as_slice()]);
    assert_eq!((whole.0.last(), whole.1), (Some(&Seen::Close(Some(1000))), None));
    for at in 0..=bytes.len() {
        assert_eq!(feed([&bytes[..at], &bytes[at..]]), whole, "cut at {at}");
    }
    for size in 1..=20 {
        assert_eq!(feed(bytes.chunks(size)), whole, "pieces of {size}");
    }
}

#[test]
fn decode_errors_are_independent_of_input_boundaries() {
    let bad = [
        (frame(FINAL | CONTINUATION, "a"), CloseCode::Protocol),
        (frame(FINAL | TEXT, b"ok\xff"), CloseCode::Invalid),
        (frame(FINAL | CLOSE, [3, 237]), CloseCode::Protocol),
    ];
    for (bad, code) in bad {
        let bytes = [frame(FINAL | TEXT, "fine"), bad].concat();
        for at in 0..=bytes.len() {
            assert_eq!(feed([&bytes[..at], &bytes[at..]]).1, Some(code), "{bytes:x?} cut at {at}");
        }
    }
}

#[test]
fn unmasked_frames_are_rejected() {
    for first in [TEXT, BINARY, CLOSE, PING, PONG] {
        assert_eq!(error_of(&[vec![FINAL | first, 0]]), Some(CloseCode::Protocol));
        assert_eq!(error_of(&[vec![FINAL | first, 3, b'a', b'b', b'c']]), Some(CloseCode::Protocol));
    }
}

#[test]
fn reserved_bits_are_rejected() {
    for reserved in [0x40, 0x20, 0x10, 0x70] {
        for first in [TEXT, BINARY, CLOSE, PING, PONG] {
            assert_eq!(error_of(&[frame(FINAL | reserved | first, "")]), Some(CloseCode::Protocol));
        }
        let frames = [frame(BINARY, "a"), frame(FINAL | reserved | CONTINUATION, "b")];
        assert_eq!(error_of(&frames), Some(CloseCode::Protocol));
    }
}

#[test]
fn unknown_opcodes_are_rejected() {
    for opcode in (3..=7).chain(11..=15) {
        assert_eq!(error_of(&[frame(FINAL | opcode, "")]), Some(CloseCode::Protocol), "{opcode}");
        assert_eq!(error_of(&[frame(BINARY, "a"), frame(FINAL | opcode, "")]), Some(CloseCode::Protocol), "{opcode}");
    }
}

#[test]
fn fragmented_or_long_control_frames_are_rejected() {
    for opcode in [CLOSE, PING, PONG] {
        assert_eq!(error_of(&[frame(opcode, "")]), Some(CloseCode::Protocol), "{opcode}");
        assert_eq!(error_of(&[frame(FINAL | opcode, [b'a'; 126])]), Some(CloseCode::Protocol), "{opcode}");
        assert_eq!(error_of(&[frame(FINAL | opcode, [b'a'; 70_000])]), Some(CloseCode::Protocol), "{opcode}");
    }
    assert_eq!(decode(&[frame(FINAL | PING, [b'a'; 125])]), [ping(&[b'a'; 125])]);
}

#[test]
fn continuations_without_a_first_frame_are_rejected() {
    for first in [CONTINUATION, FINAL | CONTINUATION] {
        assert_eq!(error_of(&[frame(first, "a")]), Some(CloseCode::Protocol));
        assert_eq!(error_of(&[frame(FINAL | TEXT, "a"), frame(first, "b")]), Some(CloseCode::Protocol));
        let ended = [frame(TEXT, "a"), frame(FINAL | CONTINUATION, "b"), frame(first, "c")];
        assert_eq!(error_of(&ended), Some(CloseCode::Protocol));
    }
}

#[test]
fn messages_inside_another_message_are_rejected() {
    for start in [TEXT, BINARY] {
        for next in [TEXT, BINARY, FINAL | TEXT, FINAL | BINARY] {
            assert_eq!(error_of(&[frame(start, "a"), frame(next, "b")]), Some(CloseCode::Protocol));
        }
    }
}

#[test]
fn payload_lengths_of_64_bits_are_rejected() {
    let header = |length: u64| [&[FINAL | BINARY, FINAL | 127], length.to_be_bytes().as_slice(), &KEY].concat();
    for length in [1 << 63, u64::MAX, (1 << 63) | 1] {
        assert_eq!(error_of(&[header(length)]), Some(CloseCode::Protocol), "{length:x}");
    }
    for length in [(1 << 63) - 1, 1 << 62, u64::from(u32::MAX) + 1] {
        assert_eq!(decode(&[header(length)]), [], "{length:x}");
    }
}

/// The reader of .NET accepts them, too.
#[test]
fn payload_lengths_in_longer_form_are_accepted() {
    let wide = [&[FINAL | BINARY, FINAL | 126, 0, 1], KEY.as_slice(), &[KEY[0]]].concat();
    let widest = [&[FINAL | PING, FINAL | 127, 0, 0, 0, 0, 0, 0, 0, 0], KEY.as_slice()].concat();
    assert_eq!(decode(&[wide, widest]), [data([0]), ping(b"")]);
}

#[test]
fn text_that_is_not_utf8_is_rejected() {
    for bad in [b"\xff".as_slice(), b"a\xc3(", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x80"] {
        assert_eq!(error_of(&[frame(FINAL | TEXT, bad)]), Some(CloseCode::Invalid), "{bad:x?}");
        // Rejected before the final frame, which a client may never send.
        assert_eq!(error_of(&[frame(TEXT, bad)]), Some(CloseCode::Invalid), "{bad:x?}");
        let late = [frame(TEXT, "fine"), frame(FINAL | PING, ""), frame(FINAL | CONTINUATION, bad)];
        assert_eq!(error_of(&late), Some(CloseCode::Invalid), "{bad:x?}");
        assert_eq!(decode(&[frame(FINAL | BINARY, bad)]), [data(bad)]);
        assert_eq!(decode(&[frame(BINARY, ""), frame(FINAL | CONTINUATION, bad)]), [data(bad)]);
    }
}

#[test]
fn text_that_ends_within_a_character_is_rejected() {
    let euro = "€".as_bytes();
    for length in 1..3 {
        assert_eq!(error_of(&[frame(FINAL | TEXT, &euro[..length])]), Some(CloseCode::Invalid));
        let empty_end = [frame(TEXT, &euro[..length]), frame(FINAL | CONTINUATION, "")];
        assert_eq!(error_of(&empty_end), Some(CloseCode::Invalid));
        let continued = [frame(TEXT, &euro[..length]), frame(FINAL | CONTINUATION, &euro[length..])];
        assert_eq!(decode(&continued), [data(euro)]);
    }
}

#[test]
fn close_codes_that_clients_must_not_send_are_rejected() {
    let close = |code: u16| [frame(FINAL | CLOSE, code.to_be_bytes())];
    let allowed = (1000..=1003).chain(1007..=1014).chain(3000..=4999);
    for code in allowed.clone() {
        assert_eq!(decode(&close(code)), [Seen::Close(Some(code))]);
    }
    let allowed: Vec<u16> = allowed.collect();
    for code in (0..=u16::MAX).filter(|code| allowed.binary_search(code).is_err()) {
        assert_eq!(error_of(&close(code)), Some(CloseCode::Protocol), "{code}");
    }
}

#[test]
fn close_payloads_are_empty_or_a_code_with_a_utf8_reason() {
    assert_eq!(decode(&[frame(FINAL | CLOSE, "")]), [Seen::Close(None)]);
    assert_eq!(decode(&[frame(FINAL | CLOSE, b"\x0b\xb8over")]), [Seen::Close(Some(3000))]);
    for bad in [b"\x03".as_slice(), b"\x03\xe8\xff", b"\x03\xe8ok\xe2\x82"] {
        assert_eq!(error_of(&[frame(FINAL | CLOSE, bad)]), Some(CloseCode::Protocol), "{bad:x?}");
    }
}

#[test]
fn complete_frames_are_decoded_in_place() {
    let mut bytes = frame(FINAL | TEXT, "hello");
    let place = bytes[6..].as_ptr();
    let (mut decoder, mut input) = (Decoder::default(), bytes.as_mut_slice());
    let Ok(Some(Event::Data(hello))) = decoder.next(&mut input) else { panic!("not a data event") };
    assert_eq!((hello, hello.as_ptr()), (b"hello".as_slice(), place));
    assert_eq!((decoder.next(&mut input), decoder.partial.len()), (Ok(None), 0));
}

#[test]
fn decoder_stores_only_incomplete_headers_and_control_payloads() {
    let mut decoder = Decoder::default();
    let mut bytes = all_kinds();
    bytes.truncate(bytes.len() - frame(FINAL | CLOSE, b"\x03\xe8bye \xe2\x82\xac").len());
    for byte in &mut bytes {
        let mut input = std::slice::from_mut(byte);
        while decoder.next(&mut input).unwrap().is_some() {}
        assert!(decoder.partial.len() < MAX_HEADER_BYTES.max(usize::try_from(MAX_CONTROL_PAYLOAD_BYTES).unwrap()));
    }
    assert_eq!((decoder.frame, decoder.message, decoder.partial.len()), (super::Frame::None, super::Message::None, 0));
}

#[test]
fn decoder_size_is_at_most_48_bytes() {
    assert!(size_of::<Decoder>() <= 48, "{}", size_of::<Decoder>());
}

/// Valid input of a client, encoded by tungstenite.
#[derive(Clone, Debug)]
enum Sent {
    /// Whether the message is text, its payload, and the sizes of all fragments but the last; a
    /// ping follows each of them.
    Message(bool, Vec<u8>, Vec<usize>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let sizes = || prop::collection::vec(0_usize..50, 0..4);
    let binary = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (65_530_usize..65_550, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    let control = || prop::collection::vec(any::<u8>(), 0..=125);
    prop_oneof![
        (any::<String>(), sizes()).prop_map(|(text, sizes)| Sent::Message(true, text.into_bytes(), sizes)),
        (binary, sizes()).prop_map(|(payload, sizes)| Sent::Message(false, payload, sizes)),
        control().prop_map(Sent::Ping),
        control().prop_map(Sent::Pong),
    ]
}

/// Encodes the frames with tungstenite, and returns the expected events.
fn write(sent: &[Sent], close: Option<u16>) -> (Vec<u8>, Vec<Seen>) {
    let mut client = WebSocket::from_raw_socket(Cursor::new(Vec::new()), Role::Client, None);
    let mut expected: Vec<Seen> = Vec::new();
    for sent in sent {
        match sent {
            Sent::Ping(payload) => {
                client.send(Message::Ping(payload.clone().into())).unwrap();
                expected.push(ping(payload));
            }
            Sent::Pong(payload) => {
                client.send(Message::Pong(payload.clone().into())).unwrap();
                expected.push(Seen::Pong);
            }
            Sent::Message(is_text, payload, sizes) => {
                let mut opcode = if *is_text { Data::Text } else { Data::Binary };
                let mut rest = payload.as_slice();
                for size in sizes {
                    let (piece, after) = rest.split_at((*size).min(rest.len()));
                    rest = after;
                    let fragment = Frame::message(piece.to_vec(), OpCode::Data(opcode), false);
                    client.send(Message::Frame(fragment)).unwrap();
                    client.send(Message::Ping("between".into())).unwrap();
                    expected.extend([data(piece), ping(b"between")]);
                    opcode = Data::Continue;
                }
                client.send(Message::Frame(Frame::message(rest.to_vec(), OpCode::Data(opcode), true))).unwrap();
                expected.push(data(rest));
            }
        }
    }
    if let Some(code) = close {
        client.close(Some(CloseFrame { code: code.into(), reason: "reason €".into() })).unwrap();
        expected.push(Seen::Close(Some(code)));
    }
    (client.into_inner().into_inner(), merge(expected))
}

fn merge(seen: Vec<Seen>) -> Vec<Seen> {
    let mut merged: Vec<Seen> = Vec::new();
    for one in seen.into_iter().filter(|one| *one != data("")) {
        match (merged.last_mut(), one) {
            (Some(Seen::Data(last)), Seen::Data(more)) => last.extend(more),
            (_, one) => merged.push(one),
        }
    }
    merged
}

/// Splits `bytes` into parts with these sizes, repeated.
fn pieces<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let cut = |size: &usize| {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    };
    sizes.iter().cycle().map_while(cut).collect()
}

/// Frames that may violate any rule except those for close payloads, which tungstenite does not
/// check as strictly.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        "[a-c€😀]{0,5}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..10),
        Just(vec![b'a'; 126]),
    ];
    let opcode = prop::sample::select(&[TEXT, BINARY, CONTINUATION, CONTINUATION, PING, PONG, 3, 11][..]);
    let reserved = prop_oneof![20 => Just(0_u8), 1 => prop::sample::select(&[0x40, 0x20, 0x10][..])];
    (any::<bool>(), reserved, opcode, payload, prop::bool::weighted(0.95)).prop_map(
        |(is_final, reserved, opcode, payload, is_masked)| {
            let mut bytes = frame(if is_final { FINAL } else { 0 } | reserved | opcode, payload);
            if !is_masked {
                bytes[1] &= !FINAL;
            }
            bytes
        },
    )
}

/// Decodes with tungstenite and returns the close code of an error.
fn read_by_tungstenite(bytes: &[u8]) -> Option<CloseCode> {
    let mut server = WebSocket::from_raw_socket(Cursor::new(bytes.to_vec()), Role::Server, None);
    loop {
        match server.read() {
            Ok(_) | Err(Error::WriteBufferFull(_)) => {}
            Err(Error::Utf8(_)) => return Some(CloseCode::Invalid),
            Err(Error::Protocol(error)) => {
                let is_end =
                    error == hyper_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
                return (!is_end).then_some(CloseCode::Protocol);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #[test]
    fn frames_encoded_by_tungstenite_are_decoded(
        sent in prop::collection::vec(sent(), 0..8),
        close in prop::option::of(prop_oneof![Just(1000_u16), Just(1001), 3000_u16..5000]),
        sizes in prop::collection::vec(1_usize..300, 1..8),
    ) {
        let (bytes, expected) = write(&sent, close);
        prop_assert_eq!(feed([bytes.as_slice()]), (expected.clone(), None));
        prop_assert_eq!(feed(pieces(&bytes, &sizes)), (expected, None));
    }

    #[test]
    fn decode_errors_agree_with_tungstenite(frames in prop::collection::vec(any_frame(), 1..6)) {
        let bytes = frames.concat();
        prop_assert_eq!(feed([bytes.as_slice()]).1, read_by_tungstenite(&bytes), "{:x?}", frames);
    }

    #[test]
    fn arbitrary_bytes_are_decoded_or_rejected_independently_of_boundaries(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        sizes in prop::collection::vec(1_usize..50, 1..5),
    ) {
        let (whole, error) = feed([bytes.as_slice()]);
        let (cut, same_error) = feed(pieces(&bytes, &sizes));
        prop_assert_eq!(same_error, error);
        // Split input returns more of the text in front of invalid UTF-8.
        prop_assert!(error == Some(CloseCode::Invalid) || cut == whole);
    }
}
