//! Framing of input that is split at every position.

use proptest::prelude::*;

use super::{HubProtocolKind, each_protocol, written};
use crate::protocol::Framer;

/// Returns all messages that `framer` returns for these pieces of input.
fn frames<'i>(framer: &mut Framer, pieces: impl IntoIterator<Item = &'i [u8]>) -> Result<Vec<Vec<u8>>, String> {
    let mut frames = Vec::new();
    for mut piece in pieces {
        while let Some(frame) = framer.next(&mut piece).map_err(|error| error.to_string())? {
            frames.push(frame.to_vec());
        }
        assert!(piece.is_empty());
    }
    Ok(frames)
}

fn three_messages(format: HubProtocolKind) -> Vec<u8> {
    let protocol = super::HubProtocol::new(format, super::Naming::Serde);
    written(|out| {
        protocol.write_ping(out);
        protocol.write_error(out, "1", &"x".repeat(200));
        protocol.write_cancel(out, "2");
    })
}

#[test]
fn messages_are_the_same_for_every_split_of_the_input() {
    each_protocol(|protocol| {
        let input = three_messages(protocol.kind());
        let whole = frames(&mut Framer::new(protocol.kind(), None), [&*input]).unwrap();
        assert_eq!(whole.len(), 3);
        for cut in 0..=input.len() {
            let mut framer = Framer::new(protocol.kind(), Some(input.len()));
            let (start, end) = input.split_at(cut);
            assert_eq!(frames(&mut framer, [start, end]).as_ref(), Ok(&whole), "cut at {cut}");
            assert!(framer.is_empty());
        }
        let bytes = input.chunks(1);
        assert_eq!(frames(&mut Framer::new(protocol.kind(), Some(input.len())), bytes), Ok(whole));
    });
}

#[test]
fn messages_of_the_limit_are_accepted_and_larger_ones_rejected() {
    each_protocol(|protocol| {
        let message = written(|out| protocol.write_error(out, "1", &"x".repeat(200)));
        let exact = message.len();
        let too_large = format!(
            "The maximum message size of {}B was exceeded. The message size can be configured in AddHubOptions.",
            exact - 1
        );
        for cut in 0..exact {
            let (start, end) = message.split_at(cut);
            let fine = frames(&mut Framer::new(protocol.kind(), Some(exact)), [start, end]);
            assert_eq!(fine.map(|frames| frames.len()), Ok(1), "cut at {cut}");
            let refused = frames(&mut Framer::new(protocol.kind(), Some(exact - 1)), [start, end]);
            assert_eq!(refused, Err(too_large.clone()), "cut at {cut}");
        }
    });
}

#[test]
fn oversized_messages_are_rejected_before_they_are_complete() {
    each_protocol(|protocol| {
        let message = written(|out| protocol.write_error(out, "1", &"x".repeat(200)));
        let mut framer = Framer::new(protocol.kind(), Some(100));
        assert_eq!(framer.next(&mut &message[..100]), Ok(None));
        assert!(!framer.is_empty());
        assert_eq!(framer.next(&mut &message[100..101]).unwrap_err().type_name(), "InvalidDataException");
    });
}

#[test]
fn messages_before_an_oversized_one_are_returned() {
    each_protocol(|protocol| {
        let input = three_messages(protocol.kind());
        let mut framer = Framer::new(protocol.kind(), Some(100));
        let mut rest = &*input;
        assert!(matches!(framer.next(&mut rest), Ok(Some(_))));
        assert!(framer.next(&mut rest).is_err());
    });
}

#[test]
fn complete_messages_are_not_copied() {
    each_protocol(|protocol| {
        let input = three_messages(protocol.kind());
        let mut framer = Framer::new(protocol.kind(), None);
        let mut rest = &*input;
        while let Some(frame) = framer.next(&mut rest).unwrap() {
            assert!(input.as_ptr_range().contains(&frame.as_ptr()));
        }
    });
}

#[test]
fn buffered_input_can_be_cleared() {
    each_protocol(|protocol| {
        let mut framer = Framer::new(protocol.kind(), None);
        let input = three_messages(protocol.kind());
        assert_eq!(frames(&mut framer, [&input[..input.len() - 1]]).unwrap().len(), 2);
        framer.clear();
        assert!(framer.is_empty());
        assert_eq!(frames(&mut framer, [&*input]).unwrap().len(), 3);
    });
}

#[cfg(feature = "messagepack")]
#[test]
fn length_prefixes_need_not_be_minimal() {
    for prefix in [&b"\x02"[..], b"\x82\x00", b"\x82\x80\x00", b"\x82\x80\x80\x00", b"\x82\x80\x80\x80\x00"] {
        let framed = [prefix, b"\x91\x06"].concat();
        for cut in 0..=framed.len() {
            let (start, end) = framed.split_at(cut);
            let mut framer = Framer::new(HubProtocolKind::MessagePack, Some(framed.len()));
            assert_eq!(frames(&mut framer, [start, end]), Ok(vec![b"\x91\x06".to_vec()]), "cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn arbitrary_input_gives_the_same_messages_for_every_split(
        input in proptest::collection::vec(prop_oneof![Just(0x1e_u8), 0_u8..6, any::<u8>()], 0..200),
        cuts in proptest::collection::vec(1_usize..20, 1..40),
        limit in proptest::option::of(1_usize..60),
    ) {
        for &format in HubProtocolKind::ALL {
            let whole = frames(&mut Framer::new(format, limit), [&*input]);
            let mut pieces = Vec::new();
            let mut rest = &*input;
            for cut in cuts.iter().cycle() {
                let (piece, behind) = rest.split_at(rest.len().min(*cut));
                pieces.push(piece);
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            let mut framer = Framer::new(format, limit);
            prop_assert_eq!(frames(&mut framer, pieces), whole);
        }
    }
}
