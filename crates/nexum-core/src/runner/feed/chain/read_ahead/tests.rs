use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use nexum_config::topic::ChainId;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::bus::source::ChainLogs;
use crate::event::Position;

/// A chain whose numbers between the blocks 100 and 110 have no block.
#[derive(Debug, Default)]
struct Skipping {
    replays: AtomicUsize,
}

#[async_trait]
impl EventSource for Skipping {
    fn chain_id(&self) -> ChainId {
        314
    }

    fn describe(&self) -> String {
        "a test".to_owned()
    }

    fn reorg_depth_max(&self) -> u64 {
        128
    }

    async fn ready(&self) -> Result<(), SourceError> {
        Ok(())
    }

    async fn follow(&self, _: &ChainLogs, _: &CancellationToken) -> Result<(), SourceError> {
        Ok(())
    }

    async fn replay(&self, wanted: &Replay) -> Result<Replayed, SourceError> {
        self.replays.fetch_add(1, Ordering::SeqCst);
        let number = if wanted.numbers.contains(&110) { 110 } else { 100 };
        Ok(Replayed {
            parent_hash: [100; 32],
            blocks: Vec::new(),
            through: Position {
                number,
                hash: [100; 32],
            },
        })
    }
}

fn wanted(numbers: RangeInclusive<u64>) -> Replay {
    Replay {
        numbers,
        blocks: false,
        filters: Arc::default(),
    }
}

/// Reads `ahead`, then takes the part for `asked`. Returns the number up to which the part was read, and the replays.
async fn take(ahead: RangeInclusive<u64>, asked: RangeInclusive<u64>) -> (u64, usize) {
    let skipping = Arc::new(Skipping::default());
    let source: Arc<dyn EventSource> = skipping.clone();
    let mut reading = ReadAhead::default();
    reading.begin(&source, wanted(ahead));
    let replayed = reading.take(&source, wanted(asked)).await.unwrap();
    (replayed.through.number, skipping.replays.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_part_that_was_read_ahead_serves_a_longer_range_if_it_has_a_block() {
    assert_eq!(take(101..=104, 101..=104).await, (100, 1));
    assert_eq!(take(101..=120, 101..=150).await, (110, 1));
    assert_eq!(take(101..=104, 101..=150).await, (110, 2));
}
