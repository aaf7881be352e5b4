//! The prompt: lines until a `;`, with editing and a history that lasts.

use super::Asker;
use logweir_store::statements;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use std::fs;
use std::path::PathBuf;

const PROMPT: &str = "logweir> ";
const MORE: &str = "      -> ";

pub(super) fn run(asker: &Asker) -> Result<(), String> {
    let mut editor = DefaultEditor::new().map_err(|error| format!("no line editing here: {error}"))?;
    let history = history_path();
    if let Some(path) = &history {
        // There is none before the first time.
        let _ = editor.load_history(path);
    }
    println!("End a statement with ; and the session with exit or Ctrl-D.");
    let mut text = String::new();
    loop {
        match editor.readline(if text.is_empty() { PROMPT } else { MORE }) {
            Ok(line)
                if text.is_empty() && matches!(line.trim(), "exit" | "quit" | "exit;" | "quit;" | "\\q") =>
            {
                break;
            }
            Ok(line) => {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&line);
                if !text.trim_end().ends_with(';') {
                    // An empty line is not the beginning of anything.
                    text = if text.trim().is_empty() { String::new() } else { text };
                    continue;
                }
                let _ = editor.add_history_entry(text.trim());
                if let Err(error) = statements(&text).into_iter().try_for_each(|sql| asker.ask(sql)) {
                    eprintln!("{error}");
                }
                text.clear();
            }
            // Ctrl-C gives up what was typed.
            Err(ReadlineError::Interrupted) => text.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(format!("cannot read a line: {error}")),
        }
    }
    if let Some(path) = history {
        let saved = path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| error.to_string());
        let saved = saved.and_then(|()| editor.save_history(&path).map_err(|error| error.to_string()));
        if let Err(error) = saved {
            eprintln!("the history is not kept: {}: {error}", path.display());
        }
    }
    Ok(())
}

/// `$XDG_STATE_HOME/logweir/query_history`, or under `~/.local/state`.
fn history_path() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).map(|dir| dir.join("logweir/query_history"))
}
