use std::convert::Infallible;

use nexum_config::topic::{ChainTopic, Finality, Topic};

use super::*;
use crate::event::{EventId, EventKind, Position, RequestId};
use crate::state::{CapabilityRows, EffectState};
use crate::store::MemoryStore;

const CALL: EffectCall<'static> = EffectCall {
    kind: "test",
    target: "receiver",
    request: b"request",
    class: EffectClass::Once,
    stand_in: None,
    is_strict: true,
};

fn event() -> EventId {
    EventId {
        topic: Topic::Chain(ChainTopic {
            chain_id: 1,
            finality: Finality::Latest,
        }),
        position: Position {
            number: 7,
            hash: [7; 32],
        },
        kind: EventKind::Block,
    }
}

/// Plans an effect, with a runner that commits or fails to. Returns the plan, and the records of the intent.
async fn plan(
    journal: &Journal,
    intents: &mut mpsc::Receiver<Intent>,
    handler: Handler,
    commits: bool,
) -> (Result<EffectPlan, EffectError>, Option<Vec<Effect>>) {
    let number = journal.call();
    let runner = async {
        let intent = intents.recv().await?;
        if commits {
            intent.done.send(()).expect("a host function that waits");
        }
        Some(intent.effects)
    };
    let mut begun = Box::pin(journal.begin((number, handler), &CALL, 0));
    let mut runner = Box::pin(runner);
    tokio::select! {
        biased;
        plan = &mut begun => (plan, None),
        effects = &mut runner => (begun.await, effects),
    }
}

impl Journal {
    /// Plans an effect without rows of a capability.
    async fn begin(&self, of: (u64, Handler), call: &EffectCall<'_>, now_ms: u64) -> Result<EffectPlan, EffectError> {
        let nothing = std::future::ready(Ok::<_, Infallible>(None));
        let Ok(plan) = self.begin_with(of, call, now_ms, nothing).await?;
        Ok(plan)
    }
}

fn journal() -> (Journal, mpsc::Receiver<Intent>) {
    let (journal, intents) = Journal::with_runner(Arc::new(MemoryStore::new()));
    journal.open(1, EarlierEffects::default());
    (journal, intents)
}

#[tokio::test]
async fn a_function_sends_without_a_record_after_all_earlier_changes_are_durable() {
    let (journal, mut intents) = journal();
    let invoke = Handler::Invoke(RequestId(1));
    let (planned, effects) = plan(&journal, &mut intents, invoke, true).await;
    assert!(matches!(planned, Ok(EffectPlan::Send(_))), "{planned:?}");
    assert_eq!(effects, Some(Vec::new()));
    assert_eq!(journal.close(true), None);
    journal.open(1, EarlierEffects::default());
    let (planned, _) = plan(&journal, &mut intents, invoke, false).await;
    assert!(matches!(planned, Err(EffectError::Ended)), "{planned:?}");
}

#[tokio::test]
async fn a_query_has_no_effects() {
    let (with_runner, mut intents) = journal();
    let without_runner = Journal::without_runner(Arc::new(MemoryStore::new()));
    without_runner.open(1, EarlierEffects::default());
    for (journal, handler) in [
        (&with_runner, Handler::Evaluate(RequestId(1))),
        (&with_runner, Handler::ListFunctions),
        (&without_runner, Handler::Invoke(RequestId(1))),
        (&without_runner, Handler::Init),
    ] {
        let (planned, effects) = plan(journal, &mut intents, handler, true).await;
        assert!(matches!(planned, Ok(EffectPlan::Denied(IN_QUERY))), "{planned:?}");
        assert_eq!(effects, None);
    }
}

#[tokio::test]
async fn a_request_that_has_not_left_when_the_call_ends_is_none() {
    let (journal, mut intents) = journal();
    let (planned, effects) = plan(&journal, &mut intents, Handler::OnEvent(event()), false).await;
    assert!(matches!(planned, Err(EffectError::Ended)), "{planned:?}");
    assert_eq!(effects.map(|effects| effects.len()), Some(1));
    let changes = journal.close(false).expect("changes");
    assert_eq!(changes.set[0].state, EffectState::Refused);
    journal.open(2, EarlierEffects::default());
    let (planned, _) = plan(&journal, &mut intents, Handler::OnEvent(event()), true).await;
    assert!(matches!(planned, Ok(EffectPlan::Send(_))), "{planned:?}");
    let changes = journal.close(false).expect("changes");
    assert_eq!(changes.set[0].state.name(), "unknown");
}

#[tokio::test]
async fn an_answer_that_was_too_large_to_keep_is_a_fault_of_its_own() {
    let (journal, mut intents) = journal();
    let (planned, _) = plan(&journal, &mut intents, Handler::OnEvent(event()), true).await;
    let Ok(EffectPlan::Send(sending)) = planned else {
        panic!("{planned:?}");
    };
    journal.settle(sending, EffectOutcome::Done(vec![0; (1 << 20) + 1]), 0);
    let changes = journal.close(false).expect("changes");
    let earlier = EarlierEffects {
        of_event: changes.set,
        ..EarlierEffects::default()
    };
    journal.open(2, earlier);
    let (planned, _) = plan(&journal, &mut intents, Handler::OnEvent(event()), true).await;
    let fault = planned.expect_err("a fault").to_string();
    assert!(
        fault.contains("has happened, its answer was too large to keep"),
        "{fault}"
    );
}

/// The rows of a capability and the refusal of its effect are in one commit: without them, the effect has happened.
#[tokio::test]
async fn a_refusal_counts_once_it_is_durable() {
    for commits in [true, false] {
        let (journal, mut intents) = journal();
        let rows = || CapabilityRows::new(Arc::new(MemoryStore::new()), "test").changes();
        let prepare = async {
            Ok::<_, Infallible>(Some(PreparedEffect {
                rows: rows(),
                answer: b"answer".to_vec(),
                held: Box::new(()),
            }))
        };
        let of = (journal.call(), Handler::OnEvent(event()));
        let (begun, _) = tokio::join!(journal.begin_with(of, &CALL, 0, prepare), async {
            let intent = intents.recv().await.expect("an intent");
            intent.done.send(())
        });
        let Ok(Ok(EffectPlan::Send(sending))) = begun else {
            panic!("{begun:?}")
        };
        let (refused, records) = tokio::join!(journal.refuse(sending, rows(), 1), async {
            let Intent { effects, done, .. } = intents.recv().await.expect("an intent");
            if commits {
                done.send(()).expect("a host function that waits");
            }
            effects
        });
        assert_eq!(refused.is_ok(), commits);
        assert_eq!(records[0].state, EffectState::Refused);
        let left = journal.close(false);
        let left: Vec<_> = left.into_iter().flat_map(|changes| changes.set).collect();
        let expected = if commits {
            vec![EffectState::Refused]
        } else {
            Vec::new()
        };
        assert_eq!(
            left.into_iter().map(|effect| effect.state).collect::<Vec<_>>(),
            expected
        );
    }
}

/// An attempt adopts a stranded effect and then has another one, whose record becomes durable first.
#[tokio::test]
async fn an_adoption_that_was_not_durable_is_repeated() {
    let (journal, mut intents) = journal();
    let mut records = Vec::new();
    for request in [&b"other"[..], CALL.request] {
        let call = EffectCall { request, ..CALL };
        let of = (journal.call(), Handler::OnEvent(event()));
        let (begun, _) = tokio::join!(journal.begin(of, &call, 0), async {
            let intent = intents.recv().await.expect("an intent");
            intent.done.send(())
        });
        let Ok(EffectPlan::Send(sending)) = begun else {
            panic!("{begun:?}")
        };
        journal.settle(sending, EffectOutcome::Done(request.to_vec()), 0);
        records = journal
            .shared
            .current
            .lock()
            .unsaved()
            .into_iter()
            .chain(records)
            .collect();
    }
    let [mut adopted, own] = <[Effect; 2]>::try_from(records).expect("two records");
    assert_ne!(*own.request, *CALL.request);
    (adopted.is_stranded, adopted.number) = (true, 1);
    let own = Effect { number: 2, ..own };
    journal.open(
        2,
        EarlierEffects {
            of_event: vec![own],
            stranded: Some(Arc::new(vec![adopted])),
            ..EarlierEffects::default()
        },
    );
    for request in [CALL.request, b"other"] {
        let of = (journal.call(), Handler::OnEvent(event()));
        let planned = journal.begin(of, &EffectCall { request, ..CALL }, 0).await;
        assert!(
            matches!(&planned, Ok(EffectPlan::Answered(answer)) if answer == request),
            "{planned:?}"
        );
    }
}

/// A receiver that refused the first request has perhaps acted on the second one.
#[tokio::test]
async fn a_request_that_was_refused_and_then_accepted_is_answered_from_the_record_of_the_second_one() {
    let (journal, mut intents) = journal();
    for outcome in [EffectOutcome::Refused, EffectOutcome::Done(b"accepted".to_vec())] {
        let (planned, _) = plan(&journal, &mut intents, Handler::OnEvent(event()), true).await;
        let Ok(EffectPlan::Send(sending)) = planned else {
            panic!("{planned:?}");
        };
        journal.settle(sending, outcome, 0);
    }
    let changes = journal.close(false).expect("changes");
    let earlier = EarlierEffects {
        of_event: changes.set,
        ..EarlierEffects::default()
    };
    journal.open(2, earlier);
    let (planned, _) = plan(&journal, &mut intents, Handler::OnEvent(event()), true).await;
    assert!(
        matches!(&planned, Ok(EffectPlan::Answered(answer)) if answer == b"accepted"),
        "{planned:?}"
    );
    let (planned, _) = plan(&journal, &mut intents, Handler::OnEvent(event()), true).await;
    assert!(matches!(planned, Ok(EffectPlan::Send(_))), "{planned:?}");
}
