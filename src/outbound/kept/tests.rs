use proptest::prelude::*;

use super::super::tests::frame;
use super::*;

fn wire(kept: &Kept) -> Vec<u8> {
    kept.frames().flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn retained_messages_keep_their_order_and_bytes(
        steps in proptest::collection::vec((0..5_u8, 0..1200_usize), 1..200),
    ) {
        let mut kept = Kept::default();
        let mut expected: VecDeque<EncodedMessage> = VecDeque::new();
        for (n, (kind, size)) in (0..).zip(steps) {
            let message = vec![n; size];
            match kind {
                0 | 1 if size <= COALESCE_LIMIT_BYTES => {
                    kept.add(&message, false);
                    expected.push_back(frame(&message));
                }
                2 => {
                    kept.share(&frame(&message));
                    expected.push_back(frame(&message));
                }
                3 => {
                    for _ in 0..size % 7 {
                        prop_assert_eq!(kept.remove_first(), expected.pop_front().is_some());
                    }
                }
                _ => prop_assert!(wire(&kept) == expected.iter().flat_map(EncodedMessage::bytes).copied().collect::<Vec<_>>()),
            }
            prop_assert_eq!(kept.payload(), expected.iter().map(|frame| frame.payload().len()).sum::<usize>());
            prop_assert_eq!(kept.is_empty(), expected.is_empty());
        }
        while let Some(first) = expected.pop_front() {
            prop_assert!(wire(&kept).starts_with(first.bytes()));
            prop_assert!(kept.remove_first());
        }
        prop_assert!(kept.is_empty() && !kept.remove_first());
    }
}
