//! The terminal, which is as before when the [`Screen`] ends, also after an error or a panic.

use std::io;

use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::{DefaultTerminal, Frame};

/// The terminal with its second screen, in which nexum draws.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Changes to the second screen. ratatui returns to the first one before it reports a panic.
    pub(super) fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                close();
                Err(error)
            }
        }
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        close();
    }
}

/// Returns to the first screen. A terminal that is gone needs no change.
fn close() {
    let _ = ratatui::try_restore();
    let _ = execute!(io::stdout(), Show);
}
