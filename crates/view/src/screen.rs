//! What is printed on: how wide it is, whether it can be drawn on again, and whether it has colours.

use std::env;
use std::io::{self, IsTerminal};

use terminal_size::{Height, Width, terminal_size_of};

use crate::filter::Filter;
use crate::text::Paint;

/// Of a terminal that does not say.
const USUAL: (usize, usize) = (80, 24);
/// Narrower than this nothing can be told apart.
const MIN_COLUMNS: usize = 40;

#[derive(Clone, Debug, Default)]
pub struct Screen {
    pub paint: Paint,
    pub size: Size,
    pub filter: Filter,
    /// Whether nobody else writes on it, so that the table of metrics can be drawn again in its place.
    pub is_ours: bool,
    /// Whether it is that of the program whose telemetry is shown.
    pub is_programs: bool,
}

/// Where the size comes from. A terminal is asked before each piece of output: the user may change it.
#[derive(Clone, Copy, Debug, Default)]
pub enum Size {
    /// A pipe or a file: whole lines, without bars.
    #[default]
    Unbounded,
    Columns(usize),
    Stdout,
    Stderr,
}

impl Size {
    pub fn columns(self) -> Option<usize> {
        match self {
            Self::Unbounded => None,
            Self::Columns(columns) => Some(columns.max(MIN_COLUMNS)),
            Self::Stdout | Self::Stderr => Some(self.of_terminal().0.max(MIN_COLUMNS)),
        }
    }

    pub fn rows(self) -> usize {
        self.of_terminal().1
    }

    fn of_terminal(self) -> (usize, usize) {
        let size = match self {
            Self::Stdout => terminal_size_of(io::stdout()),
            Self::Stderr => terminal_size_of(io::stderr()),
            Self::Unbounded | Self::Columns(_) => None,
        };
        size.map_or(USUAL, |(Width(columns), Height(rows))| (columns.into(), rows.into()))
    }
}

impl Screen {
    /// Standard output, with nobody else on it. `columns` stands in for the terminal's.
    pub fn stdout(columns: Option<usize>, filter: Filter) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let own = if is_terminal { Size::Stdout } else { Size::Unbounded };
        let size = columns.map_or(own, Size::Columns);
        let is_ours = is_terminal && columns.is_none() && anstyle_query::term_supports_ansi_color();
        Self { paint: paint(is_terminal), size, filter, is_ours, is_programs: false }
    }

    /// Standard error, on which a program writes, too.
    pub fn stderr(filter: Filter) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let size = if is_terminal { Size::Stderr } else { Size::Unbounded };
        Self { paint: paint(is_terminal), size, filter, is_ours: false, is_programs: true }
    }
}

/// As Python itself decides: NO_COLOR (https://no-color.org), then FORCE_COLOR (https://force-color.org), then what the
/// terminal is.
fn paint(is_terminal: bool) -> Paint {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let wanted = is_set("FORCE_COLOR") || (is_terminal && anstyle_query::term_supports_color());
    if wanted && !anstyle_query::no_color() { Paint::ANSI } else { Paint::PLAIN }
}
