//! A module whose state the operator moves into another store.

use std::ops::ControlFlow;
use std::sync::Arc;

use nexum_core::state::admin::{self, Import};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_testing::FaultyStore;

use super::Treatment::CutAfter;
use super::world::NAME;
use super::{Settings, World};

impl World {
    /// Moves the state of the module into a new store, as `nexum state export` and `import` do.
    async fn move_state(&mut self) {
        self.stop().await;
        let name = NAME.parse().expect("a name");
        let mut rows = Vec::new();
        let view = self.store.frozen().expect("a view");
        admin::export(&*view, &name, &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })
        .expect("an export");
        let store = MemoryStore::new();
        let mut import = Import::begin(&store, &name).expect("an import");
        rows.into_iter().for_each(|row| import.take(row).expect("a row"));
        import.finish().expect("a module");
        let faults = admin::verify(&*store.frozen().expect("a view"), &mut |_| ()).expect("a check");
        assert_eq!(faults, []);
        self.store = FaultyStore::new(Arc::new(store));
        self.restart().await;
    }
}

#[tokio::test]
async fn an_imported_module_has_the_records_and_the_transcripts_of_its_dead_letters() {
    let mut settings = Settings::new("POST /post/{n}?{t}&{r}\nPOST /doubt/{n}");
    settings.restart.attempts_max = 1;
    let mut world = World::start(settings).await;
    world.ledger.treat("POST /doubt/1", &[CutAfter]);
    for number in 0..2 {
        world.ledger.answer(&format!("/verdict/{number}"), &["fail", "ok"]);
        world.next().await;
    }
    let before = world.outcomes();
    world.move_state().await;
    world.next().await;
    assert_eq!(world.outcomes()[..4], before[..4]);
    let letters = world.dead_letters();
    let status = world.status();
    status.retry(letters[0].id).await.expect("an event that ends ok");
    assert_eq!(world.done(0).as_deref(), Some("200 200"));
    status.retry(letters[1].id).await.expect_err("the outcome is unknown");
    let requests = ["POST /post/0", "POST /doubt/0", "POST /post/1", "POST /doubt/1"];
    assert_eq!(requests.map(|identity| world.ledger.handled(identity)), [1; 4]);
}
