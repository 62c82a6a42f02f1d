use nexum_config::topic::{ChainTopic, Topic};
use proptest::prelude::*;

use super::*;
use crate::event::{EventKind, Position};

fn event() -> EventId {
    EventId {
        topic: Topic::Chain(ChainTopic::latest(1)),
        position: Position {
            number: 7,
            hash: [7; 32],
        },
        kind: EventKind::Block,
    }
}

/// A host call of a guest: a read of a kind, or an effect.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Read(u8),
    Effect(u8),
}

/// A guest whose next call depends on the answers so far, and a store with the parts that were durable.
struct World {
    parts: Vec<Part>,
    next_answer: u64,
}

impl World {
    fn stored(&self) -> Stored {
        let mut stored = Stored::none(event());
        for part in &self.parts {
            stored.entries.truncate(part.start as usize);
            stored.entries.extend(part.entries.iter().cloned());
            stored.next = part.number + 1;
        }
        stored
    }

    /// Runs an attempt with this many calls. Each answer is another one than ever before. Returns the calls with their
    /// answers, and what diverged.
    fn attempt(&mut self, version: u8, calls: usize) -> (Vec<(Call, u64)>, Option<Divergence>) {
        let mut transcript = Transcript::new(self.stored());
        let mut made: Vec<(Call, u64)> = Vec::new();
        for _ in 0..calls {
            let seen = made.iter().fold(u64::from(version), |seen, (_, answer)| {
                seen.wrapping_mul(31).wrapping_add(*answer)
            });
            let call = match seen % 3 {
                0 => Call::Effect(seen as u8),
                _ => Call::Read((seen % 5) as u8),
            };
            let answer = match call {
                Call::Read(which) => match transcript.ask("read", &[&[which]]) {
                    Ok(answer) => answer,
                    Err(place) => {
                        self.next_answer += 1;
                        transcript.answer(place.expect("a place"), &self.next_answer);
                        self.next_answer
                    }
                },
                Call::Effect(which) => {
                    let place = transcript.begin_effect().expect("a place");
                    let mut digest = [1; 32];
                    digest[0] = which;
                    transcript.name_effect(place, digest);
                    self.parts.extend(transcript.take_part());
                    0
                }
            };
            made.push((call, answer));
        }
        (made, transcript.divergence)
    }
}

proptest! {
    #[test]
    fn each_attempt_repeats_the_earlier_one_up_to_its_last_effect(
        lengths in prop::collection::vec(0..30_usize, 1..8),
        version in any::<u8>(),
    ) {
        let mut world = World { parts: Vec::new(), next_answer: 0 };
        let mut expected: Vec<(Call, u64)> = Vec::new();
        for length in lengths {
            let (made, divergence) = world.attempt(version, length);
            prop_assert_eq!(divergence, None);
            let common = expected.len().min(made.len());
            prop_assert_eq!(&made[..common], &expected[..common]);
            let last = made.iter().rposition(|(call, _)| matches!(call, Call::Effect(_)));
            let until = last.map_or(0, |last| last + 1);
            if until > expected.len() {
                expected = made[..until].to_vec();
            }
            prop_assert_eq!(world.stored().entries.len(), expected.len());
        }
    }

    #[test]
    fn another_version_goes_its_own_way_and_is_repeated_then(
        before in 1..30_usize,
        after in 1..30_usize,
        versions in (any::<u8>(), any::<u8>()),
    ) {
        let mut world = World { parts: Vec::new(), next_answer: 0 };
        let (first, _) = world.attempt(versions.0, before);
        let durable = first.iter().rposition(|(call, _)| matches!(call, Call::Effect(_))).map_or(0, |last| last + 1);
        let (second, divergence) = world.attempt(versions.1, after);
        let differs = (0..durable.min(second.len())).find(|index| first[*index].0 != second[*index].0);
        prop_assert_eq!(divergence.map(|divergence| divergence.number), differs.map(|index| index + 1));
        let (third, divergence) = world.attempt(versions.1, after);
        // The second attempt has stored its own way, if an effect came after the difference.
        let last = second.iter().rposition(|(call, _)| matches!(call, Call::Effect(_)));
        if differs.is_none_or(|differs| last.is_some_and(|last| last >= differs)) {
            prop_assert_eq!(divergence, None);
            let until = last.map_or(0, |last| last + 1);
            prop_assert_eq!(&third[..until], &second[..until]);
        }
    }
}

#[test]
fn a_large_transcript_is_given_up_and_the_stored_part_stays() {
    let mut transcript = Transcript::new(Stored::none(event()));
    let large = serde_bytes::ByteBuf::from(vec![0; TRANSCRIPT_BYTES_MAX / 2]);
    let ask = |transcript: &mut Transcript| {
        if let Err(Some(place)) = transcript.ask::<serde_bytes::ByteBuf>("read", &[]) {
            transcript.answer(place, &large);
        }
        transcript.begin_effect();
        transcript.take_part()
    };
    assert!(ask(&mut transcript).is_some());
    assert!(ask(&mut transcript).is_none());
    assert!(ask(&mut transcript).is_none());
}

#[test]
fn an_answer_that_had_not_come_is_asked_for_again() {
    let mut transcript = Transcript::new(Stored::none(event()));
    let asked = transcript.ask::<u64>("read", &[]).expect_err("a place");
    transcript.begin_effect();
    let part = transcript.take_part().expect("a part");
    transcript.answer(asked.expect("a place"), &7_u64);
    let stored = Stored {
        entries: part.entries,
        ..Stored::none(event())
    };
    let mut again = Transcript::new(stored);
    assert_eq!(again.ask::<u64>("read", &[]), Err(Some(0)));
    assert_eq!((again.begin_effect(), &again.divergence), (Some(1), &None));
}

#[test]
fn arguments_differ_in_their_bytes_and_their_number() {
    let all: [&[&[u8]]; 8] = [
        &[],
        &[b""],
        &[b"a"],
        &[b"a\0"],
        &[b"a", b""],
        &[b"", b"a"],
        &[&[0; 31]],
        &[&[0; 32]],
    ];
    for (index, one) in all.iter().enumerate() {
        for (other_index, other) in all.iter().enumerate() {
            // An empty text is as short as no text.
            let is_same = index == other_index || index + other_index == 1;
            assert_eq!(content_of(one) == content_of(other), is_same, "{one:?} and {other:?}");
        }
    }
}
