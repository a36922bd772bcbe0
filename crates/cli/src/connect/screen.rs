//! Where everything is shown: standard output and error, or above the line that is being typed.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::SystemTime;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context as _, Result};
use rustix::termios::tcgetwinsize;

use super::args::{ColorArg, ConnectArgs, FormatArg};
use super::binary_out::BinaryOut;
use super::editor::Editor;
use super::happening::{Content, Happening};
use super::render::{Form, Renderer, Show, Shown, Styles, Timestamps};

/// Shows what happens.
pub(super) struct Screen {
    renderer: Renderer,
    editor: Option<Editor>,
    binary_out: Option<BinaryOut>,
}

impl Screen {
    /// # Errors
    /// When the file for binary messages cannot be written.
    pub(super) fn open(args: &ConnectArgs, editor: Option<Editor>) -> Result<Self> {
        let form = match args.format {
            _ if args.json => Form::Json,
            FormatArg::Auto if io::stdout().is_terminal() => Form::Pretty,
            FormatArg::Pretty => Form::Pretty,
            FormatArg::Auto | FormatArg::Plain => Form::Plain,
            FormatArg::Json => Form::Json,
            FormatArg::Raw => Form::Raw,
        };
        let styles = match is_coloured(args.color, form) {
            true => Styles::coloured(),
            false => Styles::default(),
        };
        let binary_out = args.binary_out.as_deref().map(|path| {
            BinaryOut::open(path).with_context(|| format!("{} cannot be written", path.display()))
        });
        Ok(Self {
            renderer: Renderer {
                form,
                styles,
                timestamps: match args.timestamps {
                    true => Timestamps::Shown,
                    false => Timestamps::Hidden,
                },
                width: WIDTH,
                show: Show {
                    control: args.verbose || args.show_ping_pong,
                    sent: args.verbose,
                },
            },
            editor,
            binary_out: binary_out.transpose()?,
        })
    }

    /// # Errors
    /// When nobody reads any more, or a file cannot be written.
    pub(super) fn show(&mut self, happening: &Happening) -> io::Result<()> {
        self.keep(happening)?;
        if self.renderer.form == Form::Pretty {
            self.renderer.width = width();
        }
        let Shown { out, err } = self.renderer.render(happening, SystemTime::now());
        match &mut self.editor {
            Some(editor) => {
                let text = [out, err].concat();
                if text.is_empty() {
                    return Ok(());
                }
                editor.print(String::from_utf8_lossy(&text).into_owned())
            }
            None => {
                io::stderr().write_all(&err)?;
                let mut stdout = io::stdout().lock();
                stdout.write_all(&out)?;
                stdout.flush()
            }
        }
    }

    /// Gives the terminal back as it was.
    pub(super) fn finish(self) {
        if let Some(editor) = self.editor {
            editor.finish();
        }
    }

    fn keep(&mut self, happening: &Happening) -> io::Result<()> {
        let Some(out) = &mut self.binary_out else {
            return Ok(());
        };
        match happening {
            Happening::Message(Content::Binary(bytes)) => out.write(bytes),
            Happening::Event { attachments, .. } | Happening::Answer { attachments, .. } => {
                attachments.iter().try_for_each(|bytes| out.write(bytes))
            }
            Happening::Open { .. }
            | Happening::Message(Content::Text(_))
            | Happening::Sent(_)
            | Happening::Ping(_)
            | Happening::Pong { .. }
            | Happening::Waiting { .. }
            | Happening::Closed { .. }
            | Happening::Problem(_)
            | Happening::Notice(_) => Ok(()),
        }
    }
}

fn is_coloured(color: ColorArg, form: Form) -> bool {
    match color {
        ColorArg::Always => true,
        ColorArg::Never => false,
        // NO_COLOR, CLICOLOR, TERM=dumb and pipes are looked at here.
        ColorArg::Auto => {
            form == Form::Pretty && AutoStream::choice(&io::stdout()) != ColorChoice::Never
        }
    }
}

/// The terminal's, which may change while it is open.
fn width() -> usize {
    let size = tcgetwinsize(io::stdout()).ok();
    let columns = size.map(|size| usize::from(size.ws_col));
    columns.filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

/// Where there is no terminal.
const WIDTH: usize = 80;
