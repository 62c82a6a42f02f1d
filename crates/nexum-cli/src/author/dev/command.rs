//! The commands that an author types while `nexum dev` runs.

use std::io::BufRead as _;

use tokio::sync::mpsc;

/// The most commands that wait. A program that writes more waits.
const COMMANDS_MAX: usize = 16;

/// The most bytes of a command: a log with data of a few kilobytes.
const COMMAND_BYTES_MAX: u64 = 64 << 10;

/// The list of commands.
pub(super) const HELP: &str = "\
  m, mine [BLOCKS]   mine a block, or this many
  e, event           send a sample event for each log subscription
  log ADDRESS TOPICS [DATA]
                     send a log: 0x.., topics with commas between them, 0x..
  s, state           show the module's keys and values
  i, status          show stage, handled and failed events
  d, retry           retry all dead letters
  r, reload          build and reload, without a change
  n, new             start new local chains, with a new state
  h, help            show this list
  q, quit            end";

/// The error of a log with too few or too many words.
const LOG: &str = "a log has a contract, topics and perhaps data: `log ADDRESS TOPIC,TOPIC 0x..`";

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Mine(u64),
    Event,
    Log {
        contract: [u8; 20],
        topics: Vec<[u8; 32]>,
        data: Vec<u8>,
    },
    State,
    Status,
    Retry,
    Reload,
    New,
    Help,
    Quit,
}

impl Command {
    /// Parses a line. `None` for an empty one.
    ///
    /// # Errors
    ///
    /// A text for the author.
    pub(super) fn parse(line: &str) -> Result<Option<Self>, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let unknown = || format!("unknown command `{}`: h lists the commands", line.trim());
        Ok(Some(match words.as_slice() {
            [] => return Ok(None),
            ["m" | "mine"] => Self::Mine(1),
            ["m" | "mine", blocks] => {
                let error = || format!("`{blocks}` is no number of blocks: `mine 3` mines three");
                Self::Mine(blocks.parse().map_err(|_| error())?)
            }
            ["e" | "event"] => Self::Event,
            ["log", ..] if !(3..=4).contains(&words.len()) => return Err(LOG.to_owned()),
            ["log", contract, topics, data @ ..] if data.len() <= 1 => {
                let topics = topics.split(',').map(bytes::<32>);
                Self::Log {
                    contract: bytes(contract).ok_or("a contract is 0x and 40 hexadecimal digits")?,
                    topics: topics
                        .collect::<Option<Vec<_>>>()
                        .filter(|topics| topics.len() <= 4)
                        .ok_or("a log has up to four topics, each 0x and 64 hexadecimal digits")?,
                    data: data
                        .first()
                        .map_or(Some(Vec::new()), |data| digits(data))
                        .ok_or("the data of a log is 0x and pairs of hexadecimal digits")?,
                }
            }
            ["s" | "state"] => Self::State,
            ["i" | "status"] => Self::Status,
            ["d" | "retry"] => Self::Retry,
            ["r" | "reload"] => Self::Reload,
            ["n" | "new"] => Self::New,
            ["h" | "help" | "?"] => Self::Help,
            ["q" | "quit"] => Self::Quit,
            [word, _, ..] if Self::parse(word).is_ok() => {
                return Err(format!("too many words after `{word}`: h lists the commands"));
            }
            _ => return Err(unknown()),
        }))
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    digits(text)?.try_into().ok()
}

fn digits(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

/// Reads lines from stdin, in a thread that ends with stdin.
pub(super) fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = String::new();
            let read = std::io::Read::take(&mut stdin, COMMAND_BYTES_MAX).read_line(&mut line);
            if !read.is_ok_and(|bytes| bytes > 0) || sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command() {
        for (line, expected) in [
            ("m\n", Command::Mine(1)),
            ("mine 10", Command::Mine(10)),
            ("e", Command::Event),
            (" state ", Command::State),
            ("?", Command::Help),
            ("q", Command::Quit),
        ] {
            assert_eq!(Command::parse(line), Ok(Some(expected)), "{line}");
        }
        assert_eq!(Command::parse("\n"), Ok(None));
        let topic = format!("0x{}", "07".repeat(32));
        let line = format!("log 0x{} {topic},{topic} 0x00ff", "5a".repeat(20));
        let expected = Command::Log {
            contract: [0x5a; 20],
            topics: vec![[7; 32]; 2],
            data: vec![0, 0xff],
        };
        assert_eq!(Command::parse(&line), Ok(Some(expected)));
    }

    #[test]
    fn a_wrong_line_says_why() {
        let contract = format!("0x{}", "5a".repeat(20));
        let topic = format!("0x{}", "07".repeat(32));
        let lines = [
            "x".to_owned(),
            "mine many".to_owned(),
            "mine -1".to_owned(),
            "mine 1 2".to_owned(),
            "state now".to_owned(),
            "log 0x5a".to_owned(),
            "log 0x5a 0x00".to_owned(),
            format!("log {contract} 0x07"),
            format!("log {contract} {}", [&*topic; 5].join(",")),
            format!("log {contract} {topic} 0x0"),
            format!("log {contract} {topic} 00"),
        ];
        let errors: Vec<_> = lines.iter().map(|line| Command::parse(line).unwrap_err()).collect();
        insta::assert_snapshot!(errors.join("\n"), @r"
        unknown command `x`: h lists the commands
        `many` is no number of blocks: `mine 3` mines three
        `-1` is no number of blocks: `mine 3` mines three
        too many words after `mine`: h lists the commands
        too many words after `state`: h lists the commands
        a log has a contract, topics and perhaps data: `log ADDRESS TOPIC,TOPIC 0x..`
        a contract is 0x and 40 hexadecimal digits
        a log has up to four topics, each 0x and 64 hexadecimal digits
        a log has up to four topics, each 0x and 64 hexadecimal digits
        the data of a log is 0x and pairs of hexadecimal digits
        the data of a log is 0x and pairs of hexadecimal digits
        ");
    }
}
