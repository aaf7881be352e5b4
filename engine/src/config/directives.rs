//! The check of all directives of a configuration, without building anything.

use super::{Attr, Checker, Diagnostic, Diagnostics, Element, Session};
use crate::plugin::{Kind, Registry};

/// Checks every directive in `root` against the table of its plugin. For a configuration that cannot be built because
/// its text has mistakes: so that those of its directives are reported in the same run.
pub fn check_directives(root: &Element, strict: bool, registry: &Registry) -> Diagnostics {
    let session = Session::new(strict);
    let mut checker = Checker::new(registry, &session);
    check_in(&mut root.clone(), &mut checker);
    let mut found = checker.finish();
    found.extend(root_parameters(root));
    found
}

/// Warnings about parameters outside of all directives, which nobody reads.
pub fn root_parameters(root: &Element) -> Vec<Diagnostic> {
    let shown = Element { elements: Vec::new(), ..root.clone() }.to_string();
    let warning = |attr: &Attr| {
        let message = format!("parameter '{}' in {} is not used.", attr.name, shown.trim());
        let headline = format!("parameter '{}' outside of all directives is not used", attr.name);
        Diagnostic::warning(message).headline(headline).at(&attr.name_place())
    };
    root.attrs.iter().map(warning).collect()
}

/// As [`check_directives`], in place: attributes learn which parameters they set.
pub(super) fn check_in(parent: &mut Element, checker: &mut Checker<'_>) {
    for element in &mut parent.elements {
        let kind = match element.name.as_str() {
            "source" => Kind::Input,
            "filter" => Kind::Filter,
            "match" => Kind::Output,
            "label" | "worker" => {
                check_in(element, checker);
                continue;
            }
            "system" => {
                super::system::declare(element, checker);
                continue;
            }
            _ => continue,
        };
        checker.plugin_in(element, kind, None);
    }
}
