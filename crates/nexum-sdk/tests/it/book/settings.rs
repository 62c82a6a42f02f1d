use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, ErrorKind, Result, U256, bail, info, module};

const TOKEN: &str = "0x0000000000000000000000000000000000000003";

#[derive(serde::Deserialize)]
struct Settings {
    token: Address,
    owners: Vec<Address>,
    #[serde(default)]
    least: U256,
}

struct Watch {
    settings: Settings,
}

#[module]
impl Watch {
    fn init(settings: Settings) -> Result<Self> {
        if settings.owners.is_empty() {
            bail!(ErrorKind::InvalidInput; "owners is empty");
        }
        Ok(Self { settings })
    }

    #[on_tick("0 * * * *")]
    fn on_tick(&mut self) -> Result {
        let Settings { token, owners, least } = &self.settings;
        info!("{token} {least} {}", owners.len());
        Ok(())
    }
}

#[test]
fn settings_have_types() {
    let owners = "0x0000000000000000000000000000000000000001, 0x0000000000000000000000000000000000000002";
    let mut watch = Harness::<Watch>::new(&[("token", TOKEN), ("owners", owners)]).expect("it starts");
    watch.tick(0).expect("handled");
    assert_eq!(watch.host.messages_logged(), [format!("{TOKEN} 0 2")]);
}

#[test]
fn an_error_names_the_key() {
    for (owners, message) in [
        (
            "0x12",
            "config: owners: \"0x12\": invalid string length; expected 20 bytes",
        ),
        ("", "owners is empty"),
    ] {
        let error = Harness::<Watch>::new(&[("token", TOKEN), ("owners", owners)]).expect_err("refused");
        assert!(error.message().starts_with(message), "{error}");
    }
}
