//! Faults that other programs had in public.

use crate::world::{Settings, World};

#[tokio::test]
async fn smoke() {
    let world = World::start(Settings::new()).await;
    world.next().await;
    world.finish().await;
    world.check().await;
}
