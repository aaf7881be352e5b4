//! The excerpt of a file that Fluentd puts behind the message of a syntax error.

use super::Span;

/// `FILE line L,C` and the lines around it. C counts bytes of the line that stand before the place; a place behind a
/// line's end belongs to that line, as in Fluentd (`BasicParser#error_sample`).
pub(super) fn excerpt(place: &Span) -> String {
    let source = place.source();
    let name = source.name.rsplit('/').next().unwrap_or_default();
    let mut column = place.range().start;
    let lines: Vec<&str> = source.text.split_inclusive('\n').collect();
    let mut number = 0;
    for (index, line) in lines.iter().enumerate() {
        number = index;
        if line.len() >= column || index + 1 == lines.len() {
            break;
        }
        column -= line.len();
    }
    let mut out = format!("{name} line {},{column}\n", number + 1);
    let mut show = |index: usize| {
        if let Some(line) = lines.get(index) {
            out.push_str(&format!("{:>3}: {}", index + 1, shortened(line)));
        }
        if index == number {
            out.push_str(&format!("\n     {}^\n", "-".repeat(column.min(LINE_BYTES_MAX))));
        }
    };
    if number > 0 {
        show(number - 1);
    }
    show(number);
    show(number + 1);
    out
}

fn shortened(line: &str) -> &str {
    &line[..line.floor_char_boundary(LINE_BYTES_MAX)]
}

/// So much of a line is shown at most.
const LINE_BYTES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn the_line_is_shown_between_its_neighbours() {
        let source = Source::new("etc/f.conf", "<m>\na \"x\"y\n</m>\n");
        assert_eq!(
            excerpt(&Span::new(&source, 9, 9)),
            "f.conf line 2,5\n  1: <m>\n  2: a \"x\"y\n\n     -----^\n  3: </m>\n"
        );
    }

    #[test]
    fn the_end_of_a_line_belongs_to_the_line() {
        let source = Source::new("f", "<a>\nx 1\n");
        assert!(excerpt(&Span::new(&source, 8, 8)).starts_with("f line 2,4\n"));
        assert!(excerpt(&Span::new(&Source::new("f", ""), 0, 0)).starts_with("f line 1,0\n"));
    }
}
